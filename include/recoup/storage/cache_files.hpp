// The directory in which copies of one repository's files lie: restic's own (restic internal/backend/cache), so that
// both programs profit from what either has loaded.
//
//     <base>/CACHEDIR.TAG
//     <base>/<repository id>/version                                    "1"
//     <base>/<repository id>/{data,index,snapshots}/<first two digits>/<id>
//
// A copy is byte for byte what is stored, so it is as encrypted as the repository. Other processes, of either program,
// add and remove files at any time: what is opened stays readable, what is gone is absent, and a copy appears under its
// name only when it is whole. Nothing is synced. What a power failure leaves behind may be short or full of zeros, and
// is found out like any other damage when it is used; waiting for the disk would cost more than the copies save.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <ctime>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/file_descriptor.hpp>
#include <recoup/core/id.hpp>
#include <recoup/storage/layout.hpp>
#include <recoup/storage/temporary_file.hpp>

namespace recoup {

/// What was found in the place of a copy.
enum class cached_copy : std::uint8_t {
  used,      ///< its bytes were loaded
  absent,    ///< there is none
  unusable,  ///< too short, unreadable, or no regular file
};

/// Never throws because of the disk: a cache that cannot be used is an empty one, one that cannot be written to keeps
/// what it has, and `on_warning` tells of it once. Members may be called from any thread.
class cache_files {
public:
  /// Makes what is missing below `base`, which may be relative. `repository` is the config's id. Throws
  /// invalid_argument if that is none.
  cache_files(const std::string& base, std::string_view repository, std::function<void(const std::string&)> on_warning)
      : on_warning_(on_warning ? std::move(on_warning) : [](const std::string&) {}) {
    if (base.empty() || !id::parse(repository))
      throw error(error_code::invalid_argument,
                  "a cache needs a directory, and a repository whose id is 64 hexadecimal digits");
    base_ = std::filesystem::absolute(base).lexically_normal().string();
    while (base_.size() > 1 && base_.back() == '/') base_.pop_back();
    path_ = base_ + '/' + std::string(repository);
    try {
      is_new_ = open();
      is_readable_ = is_writable_ = true;
    } catch (const error& problem) {
      on_warning_(std::string("unable to open cache: ") + problem.what() + "; going on without it");
    }
  }

  /// Whether copies of such files may lie here at all.
  [[nodiscard]] static constexpr bool may_hold(file_type type) noexcept {
    return type == file_type::pack || type == file_type::index || type == file_type::snapshot;
  }

  /// Absolute; what all repositories' caches have in common.
  [[nodiscard]] const std::string& base() const noexcept { return base_; }
  /// True if there was no cache for this repository before.
  [[nodiscard]] bool is_new() const noexcept { return is_new_; }
  /// False if copies cannot be read, nor written.
  [[nodiscard]] bool is_readable() const noexcept { return is_readable_; }
  /// False from the first time that a copy could not be written.
  [[nodiscard]] bool is_writable() const noexcept { return is_writable_; }

  /// Fills `into` with the bytes from `offset` on.
  [[nodiscard]] cached_copy load(const stored_file& file, std::uint64_t offset, byte_span into) const {
    struct stat status {};
    file_descriptor opened;
    if (const auto found = open_copy(file, opened, status); found != cached_copy::used) return found;
    const auto length = static_cast<std::uint64_t>(status.st_size);
    if (offset > length || into.size() > length - offset) return cached_copy::unusable;
    return read(opened.get(), offset, into);
  }

  /// Replaces `content` with the whole copy.
  [[nodiscard]] cached_copy load_all(const stored_file& file, bytes& content) const {
    struct stat status {};
    file_descriptor opened;
    if (const auto found = open_copy(file, opened, status); found != cached_copy::used) return found;
    content.clear();  // growing would copy it
    try {
      content.resize(static_cast<std::size_t>(status.st_size));
    } catch (const std::exception&) {
      return cached_copy::unusable;  // no real file has a length like this
    }
    return read(opened.get(), 0, content);
  }

  /// Keeps a copy, unless that cannot be done.
  void save(const stored_file& file, byte_view content) {
    if (!is_writable_) return;
    const auto name = file.name.hex();
    try {
      if (const auto directory = open_to_save(directory_of_copy(file))) {
        temporary_file temporary(directory.get(), name);
        if (temporary.is_open()) temporary.expect(content.size());
        if (temporary.is_open() && temporary.write(content) && temporary.rename_to(name)) return;
      }
      throw system_error(errno, "cannot write to " + path_);
    } catch (const error& problem) {
      // Another program tidied up and took our temporary file, or its directory, for a leftover: then there is no copy
      // this time.
      if (problem.code() == error_code::not_found) return;
      if (is_writable_.exchange(false))
        on_warning_(std::string("cache: ") + problem.what() + "; nothing more is put into it");
    }
  }

  /// Removes the copy, or whatever else has its place. Returns false if something is still there.
  bool remove(const stored_file& file) {
    if (!is_readable_) return true;
    const auto path = path_of_copy(file);
    if (::unlink(path.c_str()) == 0 || errno == ENOENT || errno == ENOTDIR) return true;
    if (errno != EISDIR && errno != EPERM) return false;
    std::error_code problem;  // a directory: whoever made it here was told by CACHEDIR.TAG that it may be removed
    std::filesystem::remove_all(path, problem);
    return !problem;
  }

  /// Removes the copies of a type that `is_wanted` does not take. Those that cannot be removed do no harm.
  void keep_only(file_type type, const std::function<bool(const id&)>& is_wanted) {
    if (!is_readable_) return;
    const auto top = path_ + '/' + directory_of(type);
    for (const auto& directory : names_in(top)) {
      const auto path = top + '/' + directory;
      for (const auto& name : names_in(path)) {
        const auto parsed = id::parse(name);
        if (parsed ? !is_wanted(*parsed) : is_leftover(path + '/' + name, name))
          ::unlink((path + '/' + name).c_str());
      }
    }
  }

private:
  static constexpr unsigned known_version = 1;
  static constexpr mode_t directory_mode = 0700;

  struct close_directory {
    void operator()(DIR* directory) const noexcept { ::closedir(directory); }
  };

  [[nodiscard]] std::string directory_of_copy(const stored_file& file) const {
    return path_ + '/' + directory_of(file.type) + '/' + file.name.hex().substr(0, 2);
  }
  [[nodiscard]] std::string path_of_copy(const stored_file& file) const {
    return directory_of_copy(file) + '/' + file.name.hex();
  }

  // --- the directory ---

  /// Makes what is missing. True if there was nothing for this repository. Throws io or no_space if something cannot be
  /// made, unsupported if the directory is of a version that is not known, damaged if it does not say which.
  bool open() const {
    std::vector<std::filesystem::path> missing;
    for (std::filesystem::path at = base_; ::access(at.c_str(), F_OK) != 0 && at.has_relative_path();
         at = at.parent_path())
      missing.push_back(at);
    for (auto at = missing.rbegin(); at != missing.rend(); ++at) (void)make_directory(at->string());
    write_tag();
    const bool is_new = make_directory(path_);
    const auto version = read_version();
    if (version > known_version)
      throw error(error_code::unsupported, path_ + " has version " + std::to_string(version) +
                                               ", but only 1 is known; use a newer program, or another directory");
    if (version < known_version)
      write_version();
    else
      // So that it does not count as old. If it cannot be done, neither can removing it.
      (void)::utimensat(AT_FDCWD, path_.c_str(), nullptr, 0);
    for (const auto type : {file_type::pack, file_type::index, file_type::snapshot}) {
      const auto path = path_ + '/' + directory_of(type);
      if (::mkdir(path.c_str(), directory_mode) != 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
        throw system_error(errno, "cannot make " + path);
    }
    return is_new;
  }

  /// True if it was not there.
  static bool make_directory(const std::string& path) {
    if (::mkdir(path.c_str(), directory_mode) == 0) return true;
    const int reason = errno;
    struct stat status {};
    // On a read-only file system the answer may be EROFS for what exists, too.
    if (::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return false;
    throw system_error(reason, "cannot make " + path);
  }

  /// Tells programs that make backups what this is (bford.info/cachedir). Without it the cache works as well.
  void write_tag() const {
    constexpr std::string_view content = "Signature: 8a477f597d28d172789f06886806bc55\n";
    const auto path = base_ + "/CACHEDIR.TAG";
    const file_descriptor tag(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (tag && ::write(tag.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size()))
      ::unlink(path.c_str());
  }

  /// 0 if there is none yet, or if restic is just about to write it, which it does in two steps.
  [[nodiscard]] unsigned read_version() const {
    const auto path = path_ + "/version";
    const file_descriptor opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!opened && errno == ENOENT) return 0;
    char text[32];
    const auto length = opened ? ::read(opened.get(), text, sizeof text) : -1;
    if (length < 0) throw system_error(errno, "cannot read " + path);
    if (length == 0) return 0;
    unsigned version = 0;
    const auto [end, problem] = std::from_chars(text, text + length, version);
    if (problem != std::errc{} || end != text + length)
      throw error(error_code::damaged, path + " is damaged: remove the directory it is in");
    return version;
  }

  void write_version() const {
    const auto text = std::to_string(known_version);
    const file_descriptor directory(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (directory) {
      temporary_file temporary(directory.get(), "version");
      if (temporary.is_open() && temporary.write(as_bytes(text)) && temporary.rename_to("version")) return;
    }
    throw system_error(errno, "cannot write " + path_ + "/version");
  }

  // --- copies ---

  [[nodiscard]] cached_copy open_copy(const stored_file& file, file_descriptor& opened, struct stat& status) const {
    if (!is_readable_) return cached_copy::absent;
    const auto path = path_of_copy(file);
    opened = file_descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
    if (!opened)
      switch (errno) {
        case ENOENT: case ENOTDIR: case EINTR: case EMFILE: case ENFILE: case ENOMEM: return cached_copy::absent;
        default: return cached_copy::unusable;
      }
    if (::fstat(opened.get(), &status) != 0 || !S_ISREG(status.st_mode)) return cached_copy::unusable;
    return cached_copy::used;
  }

  [[nodiscard]] static cached_copy read(int number, std::uint64_t offset, byte_span into) noexcept {
    while (!into.empty()) {
      const auto got = ::pread(number, into.data(), into.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return cached_copy::unusable;
      offset += static_cast<std::uint64_t>(got);
      into = into.subspan(static_cast<std::size_t>(got));
    }
    return cached_copy::used;
  }

  /// Makes the directory if it is missing. Nothing, and errno, if that is not possible; may throw as open() does.
  [[nodiscard]] file_descriptor open_to_save(const std::string& directory) const {
    const auto try_open = [&] {
      return file_descriptor(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    };
    if (auto opened = try_open(); opened || errno != ENOENT) return opened;
    int made = ::mkdir(directory.c_str(), directory_mode);
    if (made != 0 && errno == ENOENT) {
      (void)open();  // somebody removed the whole cache
      made = ::mkdir(directory.c_str(), directory_mode);
    }
    if (made != 0 && errno != EEXIST) return {};
    return try_open();
  }

  /// The names in a directory but those that begin with a dot; none if it cannot be read.
  [[nodiscard]] static std::vector<std::string> names_in(const std::string& path) {
    std::vector<std::string> names;
    const std::unique_ptr<DIR, close_directory> directory(::opendir(path.c_str()));
    if (!directory) return names;
    while (const auto* entry = ::readdir(directory.get()))
      if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    return names;
  }

  /// A temporary file that a killed program left ("tmp-123" is restic's). Younger ones may still be written to.
  [[nodiscard]] static bool is_leftover(const std::string& path, std::string_view name) {
    constexpr std::time_t longest_save = 3600;
    if (!name.starts_with("tmp-") && !id::parse(name_behind_temporary(name))) return false;
    struct stat status {};
    return ::lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
           status.st_mtime < std::time(nullptr) - longest_save;
  }

  const std::function<void(const std::string&)> on_warning_;
  std::string base_, path_;
  bool is_new_ = false, is_readable_ = false;
  std::atomic<bool> is_writable_{false};
};

}  // namespace recoup
