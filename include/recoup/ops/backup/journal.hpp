// Notes which files a backup has read, so that the next backup of the same need not read them again if this one ends
// without a snapshot.
//
//   a file is stored, or a group of a large one's chunks -> an entry                          journal_entry.hpp
//   entries -> every 64 KiB or two seconds a sealed record                                    journal_file.hpp
//   next backup: the file's path and status are noted, and all its blobs are in the index?
//     -> taken over without reading                                                           noted_files.hpp
//   there is a snapshot -> the journal goes
//
// An entry promises nothing: a blob of it may have been in a pack that was lost with the process. It counts only with
// what the index says when it is loaded. The journal lies in the cache's directory of the repository, one for each host
// and set of targets, and is encrypted, with a key of its own made from the repository's, so nothing that is in the
// repository can pass for a part of it, nor another journal. Paths are not in it, only keyed hashes of them.
#pragma once

#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/crypto/box.hpp>
#include <recoup/crypto/secret.hpp>
#include <recoup/ops/backup/journal_entry.hpp>
#include <recoup/ops/backup/journal_file.hpp>
#include <recoup/ops/backup/noted_files.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/storage/cache_files.hpp>

namespace recoup {

/// Which backups go on from one another: those of the same repository, host and targets.
struct journal_subject {
  std::string repository_id, host;
  std::vector<std::string> targets;  ///< absolute
};

/// Never throws because of the file: a journal that cannot be used is none. Members may be called from any thread once
/// load() has returned, but for remove() and keep().
class backup_journal {
public:
  using known_elsewhere = std::function<bool(const id& blob)>;

  /// `base` is the directory of all caches. `on_trouble` is told once if the journal cannot be used, or not be written
  /// to. `repo` must outlive this.
  backup_journal(repository& repo, std::string base, journal_subject subject, status_rules rules,
                 std::function<void(const error&)> on_trouble)
      : base_(std::move(base)), repository_id_(subject.repository_id), on_trouble_(std::move(on_trouble)),
        keys_(repo.master_key(), std::move(subject)), hasher_(keys_.names()), noted_(repo.index(), hasher_, rules) {
    const auto directory = journal_directory(base_, repository_id_);
    remove_old_journals(directory);
    try {
      file_ = std::make_unique<journal_file>(directory + '/' + keys_.file_name(), keys_.box());
    } catch (const error& problem) {
      give_up(problem);
    }
  }

  /// Learns what was noted before; only files whose blobs all are in the index, and taken by `is_known`, count. `use`
  /// false: they are kept for later, but none counts.
  void load(bool use, const known_elsewhere& is_known = [](const id&) { return true; }) {
    if (!file_) return;
    if (use) noted_.expect(file_->length() / (journal_format::entry_size + id::size));
    file_->read([&](byte_view record) {
      decode_journal_entries(record, [&](const journal_entry& entry) {
        if (use) noted_.add(entry, is_known);
        holds_any_ = true;
      });
    });
    noted_.finish();
  }

  /// What an interrupted backup has left.
  [[nodiscard]] const noted_files& noted() const noexcept { return noted_; }
  [[nodiscard]] journal_hash hash_of(const std::string& absolute_path) const noexcept {
    return hasher_(as_bytes(absolute_path));
  }

  void note(const journal_entry& entry) {
    const std::lock_guard lock(mutex_);
    if (!file_) return;
    append_journal_entry(pending_, entry);
    holds_any_ = true;
    if (pending_.size() >= record_size || clock::now() - written_ >= record_age) write();
  }

  /// The backup ends without a snapshot. True if the next one has something to go on from.
  bool keep() noexcept {
    const std::lock_guard lock(mutex_);
    write();
    return file_ && holds_any_;
  }

  /// There is a snapshot.
  void remove() noexcept {
    const std::lock_guard lock(mutex_);
    if (!file_) return;
    file_->remove();
    file_.reset();
    ::rmdir(journal_directory(base_, repository_id_).c_str());  // if it was the last
  }

private:
  using clock = std::chrono::steady_clock;
  static constexpr std::size_t record_size = std::size_t{64} << 10;
  static constexpr std::chrono::seconds record_age{2};

  /// Made from the repository's key and the subject: what was sealed for anything else does not open.
  class subject_keys {
  public:
    subject_keys(const box_key& master, journal_subject subject) {
      std::ranges::sort(subject.targets);
      std::string text = subject.repository_id + '\0' + subject.host + '\0';
      for (const auto& target : subject.targets) text += target + '\0';
      box_.emplace(box_key::from(derive(master, 'b' + text).view()));
      others_ = derive(master, 'n' + text);
    }

    [[nodiscard]] const box_key& box() const noexcept { return *box_; }
    [[nodiscard]] byte_view names() const noexcept { return others_.view().first(journal_hasher::key_size); }
    [[nodiscard]] std::string file_name() const { return to_hex(others_.view().last(16)); }

  private:
    /// BLAKE2b with a key.
    [[nodiscard]] static secret_bytes derive(const box_key& master, const std::string& text) {
      secret_bytes result(box_key::size);
      static_assert(box_key::size == crypto_generichash_BYTES_MAX && box_key::size == crypto_generichash_KEYBYTES_MAX);
      const auto message = "recoup backup journal " + text;
      const auto key = master.raw();
      if (::crypto_generichash(result.span().data(), result.size(), as_bytes(message).data(), message.size(),
                               key.data(), key.size()) != 0)
        throw error(error_code::failure, "no key can be derived for the journal");
      return result;
    }

    std::optional<box_key> box_;
    secret_bytes others_;
  };

  /// Under mutex_, or before there are other threads.
  void give_up(const error& problem) noexcept {
    file_.reset();
    pending_ = {};
    try {
      on_trouble_(problem);
    } catch (...) {  // nothing that has to do with the journal ends a backup
    }
  }

  /// Under mutex_.
  void write() noexcept {
    if (!file_ || pending_.empty()) return;
    try {
      make_directory();
      file_->append(pending_);
      pending_.clear();
      written_ = clock::now();
    } catch (const error& problem) {
      give_up(problem);
    } catch (const std::exception& problem) {
      give_up(error(error_code::failure, problem.what()));
    }
  }

  void make_directory() {
    if (std::exchange(has_directory_, true)) return;
    // It makes what restic would make there too, and keeps the directory from counting as old.
    const cache_files cache(base_, repository_id_, [](const std::string&) {});
    if (!cache.is_readable()) throw error(error_code::io, "the cache directory " + base_ + " cannot be used");
    const auto directory = journal_directory(base_, repository_id_);
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) throw system_error(errno, "cannot make " + directory);
  }

  const std::string base_, repository_id_;
  const std::function<void(const error&)> on_trouble_;
  const subject_keys keys_;
  const journal_hasher hasher_;
  noted_files noted_;

  std::mutex mutex_;  // guards what follows
  std::unique_ptr<journal_file> file_;
  bytes pending_;
  clock::time_point written_ = clock::now();
  bool holds_any_ = false;  ///< entries, in the file or pending
  bool has_directory_ = false;
};

}  // namespace recoup
