// The file that a backup's journal is: sealed records that are only ever appended.
//
//   "recoup journal 1"   then, any number of times:   length of the box, 4 bytes, little-endian   box
//
// Nothing is synced. Whatever a crash, a full disk or anybody else leaves, the records up to the first that does not
// open are used, and what is appended takes the place of the rest: a journal only ever saves reading.
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/file_descriptor.hpp>
#include <recoup/crypto/box.hpp>

namespace recoup {

/// What was noted so long ago is not used any more, and goes when somebody comes by.
inline constexpr std::chrono::hours max_journal_age{30 * 24};

/// The directory with a repository's journals, in its cache below `base`.
[[nodiscard]] inline std::string journal_directory(const std::string& base, std::string_view repository_id) {
  return base + '/' + std::string(repository_id) + "/backup-journals";
}

namespace journal_format {

inline constexpr std::string_view magic = "recoup journal 1";
/// A record of this program has some 64 KiB.
inline constexpr std::uint32_t longest_box = std::uint32_t{1} << 20;

[[nodiscard]] inline bool is_old(const struct stat& status, std::chrono::hours age) {
  return status.st_mtim.tv_sec < std::time(nullptr) - std::chrono::seconds(age).count();
}

}  // namespace journal_format

/// Of one process at a time: a lock of the system is held on the file for as long as it is used. One thread at a time.
class journal_file {
public:
  /// Opens the file if there is one; otherwise the first append() makes it. Throws locked if another process uses it,
  /// io if it cannot be opened.
  journal_file(std::string path, const box_key& key) : path_(std::move(path)), sealer_(key) {
    file_descriptor opened(::open(path_.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!opened) {
      if (errno == ENOENT) return;
      throw system_error(errno, "cannot open " + path_);
    }
    struct stat status {};
    take_lock(opened.get(), status);
    if (status.st_nlink == 0) return;  // whoever held it was successful, and removed it
    if (!S_ISREG(status.st_mode)) throw error(error_code::io, path_ + " is no file");
    file_ = std::move(opened);
    length_ = static_cast<std::uint64_t>(status.st_size);
    readable_ = journal_format::is_old(status, max_journal_age) ? 0 : length_;
  }

  /// Bytes to read; 0 if there is no file, or an old one.
  [[nodiscard]] std::uint64_t length() const noexcept { return readable_; }

  /// Hands the content of each record to `take`, a function of byte_view. Ends where a record does not open, or where
  /// `take` throws recoup::error.
  template <class Take>
  void read(Take&& take) {
    end_ = 0;
    bytes box(journal_format::magic.size());
    if (!file_ || !read_at(0, box) || as_text(box) != journal_format::magic) return;
    end_ = box.size();
    for (;;) {
      std::uint8_t prefix[4];
      if (!read_at(end_, prefix)) return;
      const auto length = load_u32_le(prefix);
      if (length < box_overhead || length > journal_format::longest_box) return;
      box.resize(length);
      if (!read_at(end_ + sizeof prefix, box)) return;
      try {
        take(byte_view(sealer_.open_in_place(box)));
      } catch (const error&) {
        return;
      }
      end_ += sizeof prefix + length;
    }
  }

  /// Adds a record behind the last that was good. Throws io or no_space; then nothing was added.
  void append(byte_view content) {
    if (!file_) create();
    record_.clear();
    if (end_ == 0) recoup::append(record_, as_bytes(journal_format::magic));
    const auto begin = record_.size();
    record_.resize(begin + 4 + content.size() + box_overhead);
    store_u32_le(record_.data() + begin, static_cast<std::uint32_t>(content.size() + box_overhead));
    sealer_.seal(content, byte_span(record_).subspan(begin + 4));
    if (length_ > end_ && ::ftruncate(file_.get(), static_cast<off_t>(end_)) != 0)
      throw system_error(errno, "cannot shorten " + path_);
    length_ = end_;
    write_record();
    end_ += record_.size();
    length_ = end_;
  }

  /// There is nothing more to note.
  void remove() noexcept {
    if (!file_) return;
    ::unlink(path_.c_str());
    file_.reset();
  }

private:
  static void take_lock(int number, struct stat& status) {
    if (::flock(number, LOCK_EX | LOCK_NB) != 0)
      throw error(errno == EWOULDBLOCK ? error_code::locked : error_code::io,
                  errno == EWOULDBLOCK ? "another backup of the same is running"
                                       : std::string("the journal cannot be locked"));
    if (::fstat(number, &status) != 0) throw system_error(errno, "cannot stat the journal");
  }

  void create() {
    file_descriptor made(::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!made) throw system_error(errno, "cannot make " + path_);
    struct stat status {};
    take_lock(made.get(), status);
    file_ = std::move(made);
    length_ = end_ = 0;
  }

  [[nodiscard]] bool read_at(std::uint64_t offset, byte_span into) const noexcept {
    if (offset > readable_ || into.size() > readable_ - offset) return false;
    while (!into.empty()) {
      const auto got = ::pread(file_.get(), into.data(), into.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      offset += static_cast<std::uint64_t>(got);
      into = into.subspan(static_cast<std::size_t>(got));
    }
    return true;
  }

  void write_record() {
    byte_view rest = record_;
    auto offset = end_;
    while (!rest.empty()) {
      const auto written = ::pwrite(file_.get(), rest.data(), rest.size(), static_cast<off_t>(offset));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) {
        const int reason = errno;
        (void)!::ftruncate(file_.get(), static_cast<off_t>(end_));
        throw system_error(reason, "cannot write " + path_);
      }
      offset += static_cast<std::uint64_t>(written);
      rest = rest.subspan(static_cast<std::size_t>(written));
    }
  }

  const std::string path_;
  box sealer_;
  file_descriptor file_;
  std::uint64_t length_ = 0, readable_ = 0;  ///< of the file, and of what read() may use
  std::uint64_t end_ = 0;  ///< behind the last good record
  bytes record_;
};

/// Removes the journals in a directory that were not written to for `age` and that no process uses.
inline void remove_old_journals(const std::string& directory, std::chrono::hours age = max_journal_age) {
  std::error_code problem;
  for (std::filesystem::directory_iterator at(directory, problem), end; !problem && at != end; at.increment(problem)) {
    const auto path = at->path().string();
    const file_descriptor opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat status {};
    if (opened && ::fstat(opened.get(), &status) == 0 && S_ISREG(status.st_mode) &&
        journal_format::is_old(status, age) && ::flock(opened.get(), LOCK_EX | LOCK_NB) == 0)
      ::unlink(path.c_str());
  }
}

}  // namespace recoup
