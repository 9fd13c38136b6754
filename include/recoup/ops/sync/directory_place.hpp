// One end of a copy that is a directory. Nothing outside of it is read or written, whatever keys say and whatever links
// lie in it: every name on the way is opened on its own, and never through a link.
//
// A file is written under a temporary name, synced, read back from the disk and compared, and only then renamed.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/file_descriptor.hpp>
#include <recoup/fs/directory.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/ops/sync/file_names.hpp>
#include <recoup/ops/sync/place.hpp>
#include <recoup/storage/temporary_file.hpp>

namespace recoup {

namespace directory_copy {

inline void read_at(int file, std::uint64_t offset, byte_span into) {
  while (!into.empty()) {
    const auto got = ::pread(file, into.data(), into.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw system_error(errno, "cannot read the file");
    if (got == 0) throw error(error_code::io, "the file became shorter while it was read");
    offset += static_cast<std::uint64_t>(got);
    into = into.subspan(static_cast<std::size_t>(got));
  }
}

inline void write_at(int file, std::uint64_t offset, byte_view content) {
  while (!content.empty()) {
    const auto written = ::pwrite(file, content.data(), content.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw system_error(errno, "cannot write the file");
    offset += static_cast<std::uint64_t>(written);
    content = content.subspan(static_cast<std::size_t>(written));
  }
}

class source : public sync_source {
public:
  explicit source(file_descriptor file) : file_(std::move(file)) {
    if (::fstat(file_.get(), &status_) != 0) throw system_error(errno, "cannot look at the file");
    if (!S_ISREG(status_.st_mode)) throw error(error_code::io, "it is no regular file any more");
  }

  [[nodiscard]] std::uint64_t size() const override { return static_cast<std::uint64_t>(status_.st_size); }
  [[nodiscard]] timestamp modified() const override {
    return {status_.st_mtim.tv_sec, static_cast<std::int32_t>(status_.st_mtim.tv_nsec), 0};
  }

  void read(std::uint64_t offset, byte_span into) override {
    read_at(file_.get(), offset, into);
    struct stat now{};
    if (::fstat(file_.get(), &now) != 0) throw system_error(errno, "cannot look at the file");
    if (now.st_size != status_.st_size || now.st_mtim.tv_sec != status_.st_mtim.tv_sec ||
        now.st_mtim.tv_nsec != status_.st_mtim.tv_nsec)
      throw error(error_code::io, "it was changed while it was copied; copy again to get the new one");
  }

private:
  file_descriptor file_;
  struct stat status_{};
};

class target : public sync_target {
public:
  target(file_descriptor directory, std::string name, mode_t mode, const timestamp& modified, const part_layout& parts)
      : directory_(std::move(directory)),
        name_(std::move(name)),
        mode_(mode),
        modified_(modified),
        parts_(parts),
        file_(directory_.get(), sync_temporary_name) {
    if (!file_.is_open()) throw system_error(errno, "cannot create a file");
    if (parts.total >= (1 << 20)) (void)::fallocate(file_.descriptor(), 0, 0, static_cast<off_t>(parts.total));
  }

  void write(std::uint64_t part, byte_view content, const id&) override {
    write_at(file_.descriptor(), parts_.offset(part), content);
  }

  [[nodiscard]] bool finish(const content_digests& digests) override {
    if (!file_.sync() && !sync_is_unsupported(errno)) throw system_error(errno, "cannot sync the file to the disk");
    // What was just written would be read from memory; so it comes from the disk, where that can be had.
    (void)::posix_fadvise(file_.descriptor(), 0, 0, POSIX_FADV_DONTNEED);
    bytes content;
    for (std::uint64_t part = 0; part < parts_.count(); ++part) {
      content.resize(parts_.size(part));
      read_at(file_.descriptor(), parts_.offset(part), content);
      if (sha256(content) != digests.sha256[static_cast<std::size_t>(part)])
        throw error(error_code::damaged,
                    "what was read back from the file is not what was written to it: check the disk");
    }
    const std::timespec times[2] = {{0, UTIME_OMIT}, {modified_.seconds, modified_.nanoseconds}};
    ::futimens(file_.descriptor(), times);
    ::fchmod(file_.descriptor(), mode_);
    if (!file_.rename_to(name_)) throw system_error(errno, "cannot rename the file into its place");
    return true;
  }

private:
  const file_descriptor directory_;
  const std::string name_;
  const mode_t mode_;
  const timestamp modified_;
  const part_layout parts_;
  temporary_file file_;
};

/// The marker of a "directory": an object without contents whose key ends in a slash.
class marker_target : public sync_target {
public:
  void write(std::uint64_t, byte_view, const id&) override {}
  [[nodiscard]] bool finish(const content_digests&) override { return true; }
};

}  // namespace directory_copy

struct directory_place_options {
  bool escape_names = false;  ///< see file_names.hpp
  bool may_create = false;    ///< make the directory itself if it is missing
};

class directory_place : public sync_place {
public:
  explicit directory_place(std::string path, directory_place_options options = {})
      : path_(std::filesystem::absolute(path).string()), options_(options) {
    if (options.may_create) {
      std::error_code problem;
      std::filesystem::create_directories(path_, problem);
      if (problem) throw system_error(problem.value(), "cannot create directory " + path_);
    }
    root_ = file_descriptor(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root_) throw system_error(errno, "cannot open directory " + path_);
    const auto mask = ::umask(0);  // there is no other way to ask for it
    ::umask(mask);
    mode_ = 0666 & ~mask;
  }

  [[nodiscard]] std::string describe() const override { return path_; }
  [[nodiscard]] bool is_directory() const override { return true; }
  [[nodiscard]] unsigned connections() const override { return 16; }

  void list(const std::function<void(sync_entry)>& visit,
            const std::function<void(const std::string&, const std::string&)>& visit_unusable) override {
    std::vector<std::string> names;
    // Opened again: where a descriptor stands is part of it, and a second listing would begin at the end of the first.
    const file_descriptor top(::openat(root_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!top) throw system_error(errno, "cannot open directory " + path_);
    list_below(top.get(), names, visit, visit_unusable);
  }

  [[nodiscard]] std::unique_ptr<sync_source> open(const sync_entry& entry) override {
    const auto names = path_of(entry.key);
    const auto directory = open_parent(names, false);
    file_descriptor file(
        ::openat(directory.get(), names.back().c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!file) throw system_error(errno, "cannot open the file");
    return std::make_unique<directory_copy::source>(std::move(file));
  }

  [[nodiscard]] std::unique_ptr<sync_target> create(const std::string& key, const sync_source& from,
                                                    const part_layout& parts) override {
    auto names = path_of(key);
    if (names.back().empty()) {
      (void)open_parent(names, true);
      return std::make_unique<directory_copy::marker_target>();
    }
    return std::make_unique<directory_copy::target>(open_parent(names, true), names.back(), mode_, from.modified(),
                                                    parts);
  }

  [[nodiscard]] std::vector<std::pair<std::string, std::string>> remove(const std::vector<std::string>& keys) override {
    std::vector<std::pair<std::string, std::string>> failed;
    for (const auto& key : keys) {
      try {
        auto names = path_of(key);
        for (bool is_file = true; !names.empty(); is_file = false) {
          const auto directory = open_parent(names, false);
          if (::unlinkat(directory.get(), names.back().c_str(), is_file ? 0 : AT_REMOVEDIR) != 0) {
            if (is_file && errno != ENOENT) throw system_error(errno, "cannot remove the file");
            if (!is_file) break;  // not empty
          }
          names.pop_back();
        }
      } catch (const error& problem) {
        failed.emplace_back(key, problem.what());
      }
    }
    return failed;
  }

  [[nodiscard]] std::string problem_of(std::string_view key, bool is_directory_too, std::uint64_t size) const override {
    if (options_.escape_names) return {};
    if (is_directory_too) return "other keys need a directory of this name";
    // A marker of a directory is one in a file system too.
    if (key.ends_with('/') && size == 0) key.remove_suffix(1);
    return problem_of_file_name(key);
  }

  void expect(const std::vector<sync_entry>& sorted) override {
    is_destination_ = true;
    for (const auto& entry : sorted) {
      if (is_directory_of_others(sorted, entry.key)) directories_too_.insert(entry.key);
      if (!options_.escape_names && entry.key.ends_with('/') && entry.size == 0) markers_.insert(entry.key);
    }
  }

  /// Directories get their new names on the disk.
  void settle() override { (void)::syncfs(root_.get()); }

  /// Whether a key is followed by others that lie "in" it. The keys are in order.
  [[nodiscard]] static bool is_directory_of_others(const std::vector<sync_entry>& sorted, const std::string& key) {
    const auto below = key + '/';
    const auto at = std::ranges::lower_bound(sorted, below, {}, &sync_entry::key);
    return at != sorted.end() && at->key.starts_with(below);
  }

private:
  [[nodiscard]] std::vector<std::string> path_of(const std::string& key) const {
    if (options_.escape_names) return escaped_path(key, directories_too_.contains(key));
    std::vector<std::string> names;
    for (const auto segment : file_naming::segments_of(key)) names.emplace_back(segment);
    const bool is_marker = names.size() > 1 && names.back().empty();
    const auto problem = problem_of_file_name(is_marker ? std::string_view(key).substr(0, key.size() - 1) : key);
    if (!problem.empty()) throw error(error_code::invalid_argument, "it cannot be the name of a file: " + problem);
    return names;
  }

  /// The directory of a path's last name, gone to name by name.
  [[nodiscard]] file_descriptor open_parent(const std::vector<std::string>& names, bool make) const {
    // No name that was made of a key is one of these; here it would matter most if one were.
    for (const auto& name : names)
      if (name == "." || name == ".." || name.find('/') != std::string::npos)
        throw error(error_code::failure, "its path leads out of the directory");
    file_descriptor at(::openat(root_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    for (std::size_t level = 0; at && level + 1 < names.size(); ++level) {
      const auto* name = names[level].c_str();
      if (make && ::mkdirat(at.get(), name, 0777) != 0 && errno != EEXIST)
        throw system_error(errno, "cannot create directory " + names[level]);
      at = file_descriptor(::openat(at.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!at && (errno == ENOTDIR || errno == ELOOP))
        throw error(error_code::io, "a file or a link lies where the directory " + names[level] + " has to be");
    }
    if (!at) throw system_error(errno, "cannot open the directory it lies in");
    return at;
  }

  void list_below(int directory, std::vector<std::string>& names, const std::function<void(sync_entry)>& visit,
                  const std::function<void(const std::string&, const std::string&)>& visit_unusable) {
    std::vector<std::string> found;
    visit_directory(directory, [&](std::string_view name, std::uint8_t) { found.emplace_back(name); });
    for (auto& name : found) {
      if (name_behind_temporary(name) == sync_temporary_name) continue;
      names.push_back(name);
      struct stat status{};
      if (::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno != ENOENT) visit_unusable(joined(names), system_error(errno, "cannot look at it").what());
      } else if (S_ISDIR(status.st_mode)) {
        const file_descriptor below(::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (const auto marker = joined(names) + '/'; markers_.contains(marker)) visit({marker, 0, {}, {}});
        if (below)
          list_below(below.get(), names, visit, visit_unusable);
        else
          visit_unusable(joined(names), system_error(errno, "cannot open the directory").what());
      } else if (!S_ISREG(status.st_mode)) {
        visit_unusable(joined(names), "it is no regular file");
      } else {
        visit_file(names, status, visit, visit_unusable);
      }
      names.pop_back();
    }
  }

  void visit_file(const std::vector<std::string>& names, const struct stat& status,
                  const std::function<void(sync_entry)>& visit,
                  const std::function<void(const std::string&, const std::string&)>& visit_unusable) {
    auto key = joined(names);
    if (options_.escape_names) {
      auto plain = key_of_escaped_path(names);
      if (!plain) return visit_unusable(key, "its name is none that --escape-names gives");
      key = std::move(*plain);
      if (!is_destination_ && names.back().ends_with("%=")) directories_too_.insert(key);
      // The path is another now that there are keys below, or none any more: what lies here is not that key's file.
      if (escaped_path(key, directories_too_.contains(key)) != names)
        return visit_unusable(joined(names), "an earlier copy called a file so; it has another name now");
    }
    visit({std::move(key),
           static_cast<std::uint64_t>(status.st_size),
           {},
           {status.st_mtim.tv_sec, static_cast<std::int32_t>(status.st_mtim.tv_nsec), 0}});
  }

  [[nodiscard]] static std::string joined(const std::vector<std::string>& names) {
    std::string path;
    for (const auto& name : names) (path += path.empty() ? "" : "/") += name;
    return path;
  }

  const std::string path_;
  const directory_place_options options_;
  file_descriptor root_;
  mode_t mode_ = 0;
  bool is_destination_ = false;
  std::set<std::string, std::less<>> directories_too_, markers_;
};

}  // namespace recoup
