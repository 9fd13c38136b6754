// Keeps whole copies of index files, snapshots and packs of trees on this machine, in front of storage behind a network.
//
//   load   a copy there? -> its bytes
//          else a file of these kinds -> loaded whole, once, however many threads want something of it -> kept
//          else -> straight from the storage
//   save   to the storage, then kept
//   list   copies of what the storage no longer shows are dropped
//
// Trees are read in small pieces and in no order of their own, a pack holds thousands of them, and each piece would be
// a journey over the network. File contents are not kept: they are read once.
//
// A copy is not verified each time it is used: whoever asked does that anyway, as with all that comes from storage, and
// complains if it is damaged (backend::reload_may_help). It is dropped then, and loaded anew. A file whose next copy is
// no good either is not kept any more, nor one that comes damaged from the storage: nothing goes round in circles.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/storage/forwarding.hpp>
#include <recoup/storage/cache_files.hpp>

namespace recoup {

struct cache_options {
  std::string directory;      ///< the base, in which each repository has a directory; see default_cache_directory()
  std::string repository_id;  ///< the config's
  /// Told if the directory cannot be used, or not be written to: once each, from any thread. Work goes on without.
  std::function<void(const std::string&)> on_warning = [](const std::string&) {};
  std::shared_ptr<void> owner{};  ///< kept for as long as the cache is used: a directory that is to be removed then
};

/// What is put in front of storage to keep copies of it. No operation fails because of the copies.
class cache_backend : public forwarding_backend {
public:
  /// Makes the directory if need be. Throws invalid_argument for a repository id that is none.
  cache_backend(std::shared_ptr<backend> inner, const cache_options& options)
      : forwarding_backend(std::move(inner)), owner_(options.owner),
        files_(options.directory, options.repository_id, options.on_warning) {}

  /// True if this made the directory of the repository.
  [[nodiscard]] bool is_new() const noexcept { return files_.is_new(); }
  /// False if the directory cannot be used, so that there are no copies.
  [[nodiscard]] bool is_usable() const noexcept { return files_.is_readable(); }

  void save(const stored_file& file, byte_view content) override {
    inner_->save(file, content);
    if (is_kept(file)) files_.save(file, content);
  }

  void load(const stored_file& file, std::uint64_t offset, byte_span into) override {
    if (load_copy(file, [&] { return files_.load(file, offset, into); })) return;
    const auto content = fetch(file);
    if (!content) return inner_->load(file, offset, into);
    if (offset > content->size() || into.size() > content->size() - offset)
      throw error(error_code::damaged, "cannot load " + std::to_string(into.size()) + " bytes from offset " +
                                           std::to_string(offset) + " of " + file.describe() + ": it has only " +
                                           std::to_string(content->size()) + " bytes");
    std::copy_n(content->begin() + static_cast<std::ptrdiff_t>(offset), into.size(), into.begin());
  }

  using backend::load_all;
  void load_all(const stored_file& file, bytes& content) override {
    if (load_copy(file, [&] { return files_.load_all(file, content); })) return;
    if (const auto fetched = fetch(file))
      content = *fetched;
    else
      inner_->load_all(file, content);
  }

  [[nodiscard]] std::uint64_t size(const stored_file& file) override {
    try {
      return inner_->size(file);
    } catch (const error& problem) {
      if (problem.code() == error_code::not_found) remove_copy(file);
      throw;
    }
  }

  void remove(const stored_file& file) override {
    try {
      inner_->remove(file);
    } catch (const error& problem) {
      if (problem.code() == error_code::not_found) remove_copy(file);
      throw;
    }
    remove_copy(file);
  }

  void list(file_type type, const std::function<void(const listed_file&)>& visit) override {
    if (!cache_files::may_hold(type) || !files_.is_readable()) return inner_->list(type, visit);
    std::unordered_set<id> present;
    inner_->list(type, [&](const listed_file& file) {
      present.insert(file.name);
      visit(file);
    });
    files_.keep_only(type, [&](const id& name) { return present.contains(name); });
  }

  [[nodiscard]] bool is_worth_caching() const override { return false; }

  [[nodiscard]] bool reload_may_help(const stored_file& file) override {
    const bool came_from_a_copy = cache_files::may_hold(file.type) && drop(file);
    return inner_->reload_may_help(file) || came_from_a_copy;
  }

  void forget_packs_other_than(const std::function<bool(const id&)>& is_known) override {
    files_.keep_only(file_type::pack, is_known);
    inner_->forget_packs_other_than(is_known);
  }

  [[nodiscard]] std::string cache_directory() const override { return is_usable() ? files_.base() : std::string(); }

private:
  /// A file on its way, for all who want something of it. Guarded by mutex_.
  struct download {
    bool is_done = false;
    std::shared_ptr<const bytes> content;
    std::optional<error_code> problem;
    std::string reason;  ///< its text
  };

  struct file_hash {
    [[nodiscard]] std::size_t operator()(const stored_file& file) const noexcept {
      return std::hash<id>{}(file.name) ^ static_cast<std::size_t>(file.type);
    }
  };
  struct same_file {  // whoever reads a pack's header does not know what it holds
    [[nodiscard]] bool operator()(const stored_file& a, const stored_file& b) const noexcept {
      return a.type == b.type && a.name == b.name;
    }
  };

  [[nodiscard]] static constexpr bool is_kept(const stored_file& file) noexcept {
    return cache_files::may_hold(file.type) && (file.type != file_type::pack || file.holds_trees);
  }

  void remove_copy(const stored_file& file) {
    if (cache_files::may_hold(file.type)) files_.remove(file);
  }

  [[nodiscard]] bool is_distrusted(const stored_file& file) const {
    const std::lock_guard lock(mutex_);
    return distrusted_.contains(file);
  }

  /// Tries `load` on the copy, if there may be one.
  template <class Load>
  [[nodiscard]] bool load_copy(const stored_file& file, const Load& load) {
    if (!cache_files::may_hold(file.type) || is_distrusted(file)) return false;
    const auto found = load();
    if (found == cached_copy::unusable) (void)drop(file);
    return found == cached_copy::used;
  }

  /// Drops a copy that is no good. True if there is one, or was: then the bytes that were no good may have been its.
  bool drop(const stored_file& file) {
    bytes content;
    const auto found = files_.load_all(file, content);
    // It may be that another thread has complained before, and this is the new one.
    if (found == cached_copy::used && sha256(content) == file.name) return true;
    const std::lock_guard lock(mutex_);
    if (found == cached_copy::absent) return dropped_.contains(file);
    const bool is_gone = files_.remove(file);
    const bool is_first = dropped_.insert(file).second;
    if (!is_gone || !is_first) distrusted_.insert(file);
    return true;
  }

  /// The whole file, which is kept then. Nothing if it is better loaded piece by piece, because it cannot be kept.
  [[nodiscard]] std::shared_ptr<const bytes> fetch(const stored_file& file) {
    if (!is_kept(file) || !files_.is_writable()) return nullptr;
    const auto mine = std::make_shared<download>();
    {
      std::unique_lock lock(mutex_);
      if (distrusted_.contains(file)) return nullptr;
      const auto [at, is_first] = downloads_.try_emplace(file, mine);
      if (!is_first) {
        const auto other = at->second;
        changed_.wait(lock, [&] { return other->is_done; });
        if (other->problem) throw error(*other->problem, other->reason);
        return other->content;
      }
      if (file.type == file_type::pack) {
        changed_.wait(lock, [&] { return packs_on_the_way_ < most_packs_at_once; });
        ++packs_on_the_way_;
      }
    }
    try {
      auto content = load_and_keep(file);
      finish(file, *mine, content);
      return content;
    } catch (const error& problem) {
      finish(file, *mine, nullptr, &problem);
      throw;
    } catch (...) {
      finish(file, *mine, nullptr);
      throw;
    }
  }

  [[nodiscard]] std::shared_ptr<const bytes> load_and_keep(const stored_file& file) {
    auto content = std::make_shared<bytes>();
    // Another thread may have brought it since the copy was looked for.
    if (files_.load_all(file, *content) == cached_copy::used) return content;
    inner_->load_all(file, *content);
    if (sha256(*content) == file.name) {
      files_.save(file, *content);
    } else {
      const std::lock_guard lock(mutex_);
      distrusted_.insert(file);
    }
    return content;
  }

  void finish(const stored_file& file, download& mine, std::shared_ptr<const bytes> content,
              const error* problem = nullptr) {
    const std::lock_guard lock(mutex_);
    mine.content = std::move(content);
    if (problem != nullptr) mine.problem = problem->code(), mine.reason = problem->what();
    mine.is_done = true;
    downloads_.erase(file);
    if (file.type == file_type::pack) --packs_on_the_way_;
    changed_.notify_all();
  }

  /// Each is some 16 MiB in memory, and four of them fill a line of 1 Gbit/s for half a second: that hides any latency.
  static constexpr unsigned most_packs_at_once = 4;

  const std::shared_ptr<void> owner_;
  cache_files files_;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::unordered_map<stored_file, std::shared_ptr<download>, file_hash, same_file> downloads_;
  std::unordered_set<stored_file, file_hash, same_file> dropped_;     // a copy of it was no good
  std::unordered_set<stored_file, file_hash, same_file> distrusted_;  // not kept any more
  unsigned packs_on_the_way_ = 0;
};

}  // namespace recoup
