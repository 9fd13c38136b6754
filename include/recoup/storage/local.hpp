// A repository in a directory, laid out as restic's local backend does it.
//
// How a file comes to be: it is written under a temporary name beside its place, synced, renamed into place, and then
// the directory is synced. So a reader, or a machine that comes back after a power failure, finds nothing or all of
// it. The temporary name (`<id>-tmp-<random>`) is no id, so neither this program nor restic ever lists it.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sodium.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/file_descriptor.hpp>
#include <recoup/storage/layout.hpp>
#include <recoup/storage/temporary_file.hpp>

namespace recoup {

struct local_options {
  /// Operations worth having in flight at once; restic's `-o local.connections`.
  unsigned connections = 2;
};

class local_backend : public backend {
public:
  /// Looks at the config's permissions only, so the directory need not exist yet. A relative path is resolved now.
  explicit local_backend(const std::filesystem::path& root, local_options options = {}) : options_(options) {
    if (root.empty())
      throw error(error_code::invalid_argument, "the repository's directory has no name: give a path to it");
    if (options_.connections == 0)
      throw error(error_code::invalid_argument, "local.connections is 0: at least one is needed");
    root_ = std::filesystem::absolute(root).string();
    while (root_.size() > 1 && root_.back() == '/') root_.pop_back();
    // A repository that a group shares is recognised by its config's mode; new files then are for the group too.
    struct stat status {};
    if (::stat(path_of({}).c_str(), &status) == 0 && (status.st_mode & S_IRGRP) != 0) {
      directory_mode_ |= 0070;
      file_mode_ |= 0060;
    }
  }

  [[nodiscard]] std::string location() const override { return root_; }
  [[nodiscard]] unsigned connections() const override { return options_.connections; }

  void create() override {
    make_directories(root_);
    for (const auto type : listed_file_types) make_directory(root_ + '/' + directory_of(type));
    const auto packs = root_ + '/' + directory_of(file_type::pack);
    for (unsigned i = 0; i < 256; ++i) {
      char name[4];
      std::snprintf(name, sizeof name, "/%02x", i);
      make_directory(packs + name);
    }
    sync_directory(packs);
    sync_directory(root_);
  }

  void save(const stored_file& file, byte_view content) override {
    const auto what = "cannot save " + file.describe();
    const auto directory = open_to_save(file, what);
    temporary_file temporary(directory.get(), file_name(file));
    if (!temporary.is_open()) throw failure(errno, what, path_of(file));
    temporary.expect(content.size());
    if (!temporary.write(content)) throw failure(errno, what, path_of(file));
    finish(temporary, file, directory.get(), what);
  }

  /// Written to the disk as it grows, below a name that nothing lists.
  [[nodiscard]] std::unique_ptr<growing_file> begin(file_type type, bytes memory) override {
    return std::make_unique<file_on_disk>(*this, type, std::move(memory));
  }

  void load(const stored_file& file, std::uint64_t offset, byte_span into) override {
    struct stat status {};
    const auto opened = open_to_load(file, status);
    const auto length = static_cast<std::uint64_t>(status.st_size);
    if (offset > length || into.size() > length - offset) throw too_short(file, offset, into.size(), length);
    read(file, opened.get(), offset, into);
  }

  using backend::load_all;
  void load_all(const stored_file& file, bytes& content) override {
    struct stat status {};
    const auto opened = open_to_load(file, status);
    content.clear();  // growing would copy it
    try {
      content.resize(static_cast<std::size_t>(status.st_size));
    } catch (const std::exception&) {
      throw error(error_code::damaged, "cannot load " + file.describe() + " (" + path_of(file) + "): its " +
                                           std::to_string(status.st_size) + " bytes do not fit into memory");
    }
    read(file, opened.get(), 0, content);
  }

  [[nodiscard]] std::uint64_t size(const stored_file& file) override {
    struct stat status {};
    if (::stat(path_of(file).c_str(), &status) != 0)
      throw failure(errno, "cannot find the size of " + file.describe(), path_of(file));
    return static_cast<std::uint64_t>(status.st_size);
  }

  void remove(const stored_file& file) override {
    const auto path = path_of(file);
    if (::unlink(path.c_str()) == 0) return sync_removal(file);
    const int reason = errno;
    // Linux asks for rights on the directory only, but SMB and FUSE file systems may refuse to remove read-only files.
    if ((reason == EPERM || reason == EACCES) && ::chmod(path.c_str(), file_mode_) == 0 && ::unlink(path.c_str()) == 0)
      return sync_removal(file);
    throw failure(reason, "cannot remove " + file.describe(), path);
  }

  void list(file_type type, const std::function<void(const listed_file&)>& visit) override {
    const auto top = root_ + '/' + directory_of(type);
    if (type != file_type::pack) return list_directory(top, {}, visit);
    auto names = read_directory(top, [](std::string_view name) { return is_pack_directory(name); });
    std::sort(names.begin(), names.end());
    for (const auto& name : names) list_directory(top + '/' + name, name, visit);
  }

  /// Removes what killed runs of this program or of restic left behind: temporary files not written to for at least
  /// `older_than`. Choose it longer than any save may take, an hour at least, because other hosts may be saving right
  /// now. Returns how many were removed. Throws io if one cannot be.
  std::size_t remove_stale_temporary_files(std::chrono::seconds older_than) {
    std::size_t removed = 0;
    const auto newest = std::time(nullptr) - static_cast<std::time_t>(older_than.count());
    const auto clean = [&](const std::string& directory) {
      for (const auto& name : read_directory(directory, is_leftover)) {
        const auto path = directory + '/' + name;
        struct stat status {};
        if (::lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_mtime > newest) continue;
        if (::unlink(path.c_str()) == 0)
          ++removed;
        else if (errno != ENOENT)
          throw failure(errno, "cannot remove a leftover temporary file", path);
      }
    };
    clean(root_);
    for (const auto type : listed_file_types) clean(root_ + '/' + directory_of(type));
    const auto packs = root_ + '/' + directory_of(file_type::pack);
    for (const auto& name : read_directory(packs, is_pack_directory)) clean(packs + '/' + name);
    return removed;
  }

private:
  /// Lies in any directory of its type until it has a name, since a rename costs nothing within a file system.
  class file_on_disk : public growing_file {
  public:
    file_on_disk(local_backend& storage, file_type type, bytes memory)
        : growing_file(std::move(memory)), storage_(storage), type_(type) {}

    void take_tail() override {
      const auto what = std::string("cannot save a ") + name_of(type_);
      if (!temporary_) open(what);
      if (!temporary_->write(tail)) throw failure(errno, what, place_);
      written_ += tail.size();
      tail.clear();
    }

    void read_taken(bytes& into) const override {
      into.resize(written_);
      if (temporary_) storage_.read({type_}, temporary_->descriptor(), 0, into);
    }

    void save(const stored_file& file) override {
      if (!temporary_) return storage_.save(file, tail);
      take_tail();
      const auto what = "cannot save " + file.describe();
      const auto directory = storage_.open_to_save(file, what);
      if (device_of(directory.get()) == device_of(directory_.get()))
        return storage_.finish(*temporary_, file, directory.get(), what);
      // Somebody has spread the directories of packs over disks.
      read_taken(tail);
      storage_.save(file, tail);
    }

  private:
    [[nodiscard]] static dev_t device_of(int directory) {
      struct stat status {};
      return ::fstat(directory, &status) == 0 ? status.st_dev : 0;
    }

    void open(const std::string& what) {
      stored_file provisional{type_};
      ::randombytes_buf(provisional.name.value.data(), provisional.name.value.size());
      place_ = storage_.path_of(provisional);
      directory_ = storage_.open_to_save(provisional, what);
      temporary_.emplace(directory_.get(), file_name(provisional));
      if (temporary_->is_open()) return;
      const int reason = errno;
      temporary_.reset();
      throw failure(reason, what, place_);
    }

    local_backend& storage_;
    const file_type type_;
    std::string place_;
    std::size_t written_ = 0;
    file_descriptor directory_;
    std::optional<temporary_file> temporary_;  // after the directory that it is in
  };

  struct close_directory {
    void operator()(DIR* directory) const noexcept { ::closedir(directory); }
  };

  static bool is_pack_directory(std::string_view name) noexcept {
    return name.size() == 2 && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  }

  static bool is_leftover(std::string_view name) noexcept {
    const auto final_name = name_behind_temporary(name);
    return final_name == "config" || id::parse(final_name).has_value();
  }

  static file_descriptor open_directory(const std::string& path) noexcept {
    return file_descriptor(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }

  static void sync_directory(const std::string& path) {
    const auto directory = open_directory(path);
    if (!directory || (!sync_to_disk(directory.get()) && !sync_is_unsupported(errno)))
      throw failure(errno, "cannot sync a directory to the disk", path);
  }

  /// Says what failed where, and what can be done about it.
  static error failure(int number, const std::string& what, const std::string& path) {
    const auto reason = system_error(number, what + " (" + path + ")");
    std::string advice;
    if (number == EACCES || number == EPERM)
      advice = "; user id " + std::to_string(::geteuid()) +
               " may not do this: run as the owner of the repository, or correct its permissions";
    else if (number == EROFS)
      advice = "; the file system is mounted read-only: mount it writable";
    else if (number == ENOSPC)
      advice = "; free some space there, or forget old snapshots and prune";
    else if (number == EDQUOT)
      advice = "; raise the quota, or forget old snapshots and prune";
    else if (number == EIO)
      advice = "; the disk failed: see the kernel's log (dmesg), and copy the repository to another disk";
    else if (number == EMFILE || number == ENFILE)
      advice = "; raise the limit on open files (ulimit -n)";
    return {reason.code(), reason.what() + advice};
  }

  error too_short(const stored_file& file, std::uint64_t offset, std::size_t wanted, std::uint64_t length) const {
    return {error_code::damaged, "cannot load " + std::to_string(wanted) + " bytes from offset " +
                                     std::to_string(offset) + " of " + file.describe() + " (" + path_of(file) +
                                     "): it has only " + std::to_string(length) + " bytes"};
  }

  [[nodiscard]] std::string path_of(const stored_file& file) const { return root_ + '/' + relative_path(file); }

  void make_directory(const std::string& path) const {
    if (::mkdir(path.c_str(), directory_mode_) != 0 && errno != EEXIST)
      throw failure(errno, "cannot create a directory of the repository", path);
  }

  /// The directory and those above it that are missing, durably.
  void make_directories(const std::string& path) const {
    std::vector<std::filesystem::path> missing;
    for (std::filesystem::path at = path; ::access(at.c_str(), F_OK) != 0 && at.has_relative_path();
         at = at.parent_path())
      missing.push_back(at);
    for (auto at = missing.rbegin(); at != missing.rend(); ++at) {
      make_directory(at->string());
      // As far as we may read it: many a parent directory can only be searched.
      if (const auto parent = open_directory(at->parent_path().string())) (void)sync_to_disk(parent.get());
    }
  }

  /// The directory a file goes to. A missing one is made, but only inside a repository: without its config this is
  /// more likely the empty place where a disk should be mounted, and filling that would be worse than failing.
  [[nodiscard]] file_descriptor open_to_save(const stored_file& file, const std::string& what) const {
    const auto path = root_ + '/' + parent_directory(file);
    auto directory = open_directory(path);
    if (directory || errno != ENOENT) {
      if (!directory) throw failure(errno, what, path);
      return directory;
    }
    if (::access(path_of({}).c_str(), F_OK) != 0)
      throw error(error_code::io, what + ": there is neither a directory " + path + " nor a file " + path_of({}) +
                                      "; is the repository's disk mounted?");
    const auto top = root_ + '/' + directory_of(file.type);
    make_directory(top);
    sync_directory(root_);
    if (file.type == file_type::pack) {
      make_directory(path);
      sync_directory(top);
    }
    directory = open_directory(path);
    if (!directory) throw failure(errno, what, path);
    return directory;
  }

  /// Gives a file that was written its name, durably. `directory` is the one that it belongs into.
  void finish(temporary_file& written, const stored_file& file, int directory, const std::string& what) const {
    const auto name = file_name(file);
    const bool durable = written.sync();
    if (!durable && !sync_is_unsupported(errno)) throw failure(errno, what, path_of(file));
    if (!written.rename_to(directory, name)) throw failure(errno, what, path_of(file));
    if (durable && !sync_to_disk(directory) && !sync_is_unsupported(errno)) throw failure(errno, what, path_of(file));
    // Against accidents only; file systems that cannot do it do not matter.
    ::fchmodat(directory, name.c_str(), file_mode_ & ~mode_t{0222}, 0);
  }

  /// Opens a regular file; what else lies at its place could block (a fifo) or never end (a device).
  [[nodiscard]] file_descriptor open_to_load(const stored_file& file, struct stat& status) const {
    const auto path = path_of(file);
    file_descriptor opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!opened || ::fstat(opened.get(), &status) != 0) throw failure(errno, "cannot load " + file.describe(), path);
    if (!S_ISREG(status.st_mode))
      throw error(error_code::damaged, "cannot load " + file.describe() + " (" + path + "): not a regular file");
    return opened;
  }

  void read(const stored_file& file, int number, std::uint64_t offset, byte_span into) const {
    for (auto rest = into; !rest.empty();) {
      const auto got = ::pread(number, rest.data(), rest.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw failure(errno, "cannot load " + file.describe(), path_of(file));
      if (got == 0) throw too_short(file, offset, rest.size(), offset);
      offset += static_cast<std::uint64_t>(got);
      rest = rest.subspan(static_cast<std::size_t>(got));
    }
  }

  /// A removed snapshot or index must not come back after a power failure when packs that it needs are gone already,
  /// nor a key whose password was revoked. Packs and locks that come back do no harm, so they cost no sync.
  void sync_removal(const stored_file& file) const {
    if (file.type == file_type::snapshot || file.type == file_type::index || file.type == file_type::key)
      sync_directory(root_ + '/' + parent_directory(file));
  }

  /// The names in a directory that `wanted` takes; none if the directory is missing or is none.
  template <class Wanted>
  static std::vector<std::string> read_directory(const std::string& path, const Wanted& wanted) {
    std::vector<std::string> names;
    const std::unique_ptr<DIR, close_directory> directory(::opendir(path.c_str()));
    if (!directory) {
      if (errno == ENOENT || errno == ENOTDIR) return names;
      throw failure(errno, "cannot list a directory of the repository", path);
    }
    for (;;) {
      errno = 0;
      const auto* entry = ::readdir(directory.get());
      if (entry == nullptr) break;
      if (wanted(std::string_view(entry->d_name))) names.emplace_back(entry->d_name);
    }
    if (errno != 0) throw failure(errno, "cannot list a directory of the repository", path);
    return names;
  }

  /// Visits the files of one directory, after the directory was read: a visitor may remove what it is shown. A pack
  /// that lies in another directory than its name says is passed over, since nobody could load it.
  static void list_directory(const std::string& path, std::string_view prefix,
                             const std::function<void(const listed_file&)>& visit) {
    const auto names = read_directory(
        path, [prefix](std::string_view name) { return name.starts_with(prefix) && id::parse(name).has_value(); });
    if (names.empty()) return;
    const auto directory = open_directory(path);
    if (!directory) {
      if (errno == ENOENT) return;
      throw failure(errno, "cannot list a directory of the repository", path);
    }
    for (const auto& name : names) {
      struct stat status {};
      if (::fstatat(directory.get(), name.c_str(), &status, 0) != 0) {
        if (errno == ENOENT) continue;  // removed meanwhile
        throw failure(errno, "cannot list a directory of the repository", path + '/' + name);
      }
      if (S_ISREG(status.st_mode)) visit({*id::parse(name), static_cast<std::uint64_t>(status.st_size)});
    }
  }

  local_options options_;
  std::string root_;
  mode_t directory_mode_ = 0700;
  mode_t file_mode_ = 0600;
};

}  // namespace recoup
