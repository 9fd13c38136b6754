// Copies a bucket, or what lies in it below a prefix, to another bucket, also of another server, or to a directory; and
// a directory into a bucket. A way off a server, and back onto one.
//
//     plan      both ends listed; what is there already equal is passed over        sync/plan.hpp
//     execute   objects side by side, large ones in parts side by side:
//                 read          SHA-256 and MD5 of each part
//                 write         the server checks the SHA-256 of what arrives
//                 verify        the ETag is the MD5 of what was read; or the copy is read back
//               then the removals, if all of that went well
//
// A run that was interrupted is begun again: what it copied is equal by then. One that fails at an object goes on with
// the others and says so in the end.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <ranges>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/interrupt.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/http/message.hpp>
#include <recoup/ops/sync/directory_place.hpp>
#include <recoup/ops/sync/plan.hpp>
#include <recoup/s3/multipart.hpp>

namespace recoup {

struct sync_result {
  std::uint64_t copied = 0, copied_bytes = 0;
  std::uint64_t proven_by_etag = 0, proven_by_reading = 0;  ///< copies verified, by how
  std::uint64_t equal = 0;                                  ///< the plan's, and those found equal by reading
  std::uint64_t removed = 0;
  std::vector<sync_failure> failures{};  ///< the plan's too
};

/// Members are called from several threads.
class sync_observer {
public:
  virtual ~sync_observer() = default;
  virtual void on_bytes(std::uint64_t /*written*/) {}
  virtual void on_done(const sync_item& /*item*/) {}
  virtual void on_failure(const sync_failure& /*failure*/) {}
  virtual void on_removed(std::uint64_t /*count*/) {}
};

namespace sync_execution {

/// So many bytes may be in memory; who needs more waits.
class memory_budget {
public:
  explicit memory_budget(std::uint64_t total) : free_(total), total_(total) {}

  class share {
  public:
    share(memory_budget& owner, std::uint64_t size, const std::stop_token& stop)
        : owner_(owner), size_(std::min(size, owner.total_)) {
      std::unique_lock lock(owner_.mutex_);
      if (!owner_.freed_.wait(lock, stop, [this] { return owner_.free_ >= size_; }))
        throw error(error_code::interrupted, "interrupted");
      owner_.free_ -= size_;
    }
    share(const share&) = delete;
    share& operator=(const share&) = delete;
    ~share() {
      {
        const std::lock_guard lock(owner_.mutex_);
        owner_.free_ += size_;
      }
      owner_.freed_.notify_all();
    }

  private:
    memory_budget& owner_;
    const std::uint64_t size_;
  };

private:
  std::mutex mutex_;
  std::condition_variable_any freed_;
  std::uint64_t free_;
  const std::uint64_t total_;
};

/// Up to here an object is copied with one request: restic's packs are.
inline constexpr std::uint64_t largest_whole = std::uint64_t{64} << 20;
inline constexpr std::uint64_t largest_part = std::uint64_t{256} << 20;

/// As it came, whole or in the same parts, so that the copy gets the same ETag and a later run can tell that both are
/// equal; unless that takes too much memory.
[[nodiscard]] inline part_layout layout_of(const sync_source& source) {
  const auto size = source.size();
  const auto own = source.part_size();
  if (own >= (std::uint64_t{5} << 20) && own <= largest_part) return {size, own};
  if (own != 0 && own >= size && own <= largest_part) return {size, size};
  const bool was_whole = is_md5_etag(source.etag()) && size <= largest_part;
  if (size <= largest_whole || was_whole) return {size, std::max<std::uint64_t>(size, 1)};
  return {size, part_size_for(size)};
}

class executor {
public:
  executor(sync_place& from, sync_place& to, const sync_options& options, sync_observer& observer, std::stop_token stop)
      : from_(from), to_(to), options_(options), observer_(observer), stop_(std::move(stop)), memory_(options.memory) {}

  void copy_all(const std::vector<sync_item>& items) {
    const auto places = std::min({from_.connections(), to_.connections(), 32u});
    const auto is_large = [](const sync_item& item) { return item.entry.size > largest_whole; };
    // Two large ones at once: while one is put together and verified, the other keeps the line busy.
    auto large = items | std::views::filter(is_large);
    parallel_for_each(2, large, [&](const sync_item& item) { handle(item, std::max(2u, places / 2)); }, stop_);
    auto small = items | std::views::filter([&](const sync_item& item) { return !is_large(item); });
    parallel_for_each(places, small, [&](const sync_item& item) { handle(item, 1); }, stop_);
  }

  void remove_all(const std::vector<std::string>& keys) {
    constexpr std::size_t batch = 1000;
    for (std::size_t at = 0; at < keys.size(); at += batch) {
      throw_if_stopped(stop_);
      const auto end = std::min(at + batch, keys.size());
      const std::vector<std::string> some(keys.begin() + static_cast<std::ptrdiff_t>(at),
                                          keys.begin() + static_cast<std::ptrdiff_t>(end));
      const auto failed = to_.remove(some);
      result_.removed += some.size() - std::min(failed.size(), some.size());
      for (const auto& [key, reason] : failed) fail({key, "cannot remove it: " + reason});
      observer_.on_removed(some.size());
    }
  }

  [[nodiscard]] sync_result take() { return std::move(result_); }
  [[nodiscard]] bool has_failed() const noexcept { return !result_.failures.empty(); }

private:
  void fail(sync_failure failure) {
    observer_.on_failure(failure);
    const std::lock_guard lock(mutex_);
    result_.failures.push_back(std::move(failure));
  }

  void handle(const sync_item& item, unsigned threads) {
    try {
      copy(item, threads);
      observer_.on_done(item);
    } catch (const http_error& problem) {
      if (problem.kind() == http_failure::unreachable || problem.kind() == http_failure::tls) throw;
      fail({item.entry.key, problem.what()});
    } catch (const error& problem) {
      // Of these, all other objects would die too.
      if (problem.code() == error_code::interrupted || problem.code() == error_code::no_space) throw;
      fail({item.entry.key, problem.what()});
    }
  }

  void copy(const sync_item& item, unsigned threads) {
    const auto source = from_.open(item.entry);
    const auto parts = layout_of(*source);
    if (item.reason == sync_reason::to_compare && is_same(item.entry, *source, parts, threads)) {
      observer_.on_bytes(source->size());
      const std::lock_guard lock(mutex_);
      ++result_.equal;
      return;
    }
    const auto target = to_.create(item.entry.key, *source, parts);
    const auto digests =
        for_each_part(*source, parts, threads, [&](std::uint64_t part, byte_view content, const id& sum) {
          if (parts.is_whole()) check_source(*source, content, sum);
          target->write(part, content, sum);
          observer_.on_bytes(content.size());
        });
    if (!parts.is_whole()) check_source(*source, digests, parts, threads);
    bool proven = false;
    try {
      proven = target->finish(digests) && (!options_.read_back || to_.is_directory());
      if (!proven) read_back(item.entry, digests, parts, threads);
    } catch (const error& problem) {
      // A copy that is wrong must not pass for a good one in the next run.
      if (problem.code() == error_code::damaged && !to_.is_directory()) (void)to_.remove({item.entry.key});
      throw;
    }
    const std::lock_guard lock(mutex_);
    ++result_.copied;
    result_.copied_bytes += source->size();
    ++(proven && !to_.is_directory() ? result_.proven_by_etag : result_.proven_by_reading);
  }

  /// Reads all parts, several at once; `use` gets each.
  template <class Use>
  [[nodiscard]] content_digests for_each_part(sync_source& source, const part_layout& parts, unsigned threads,
                                              Use&& use) {
    content_digests digests;
    const auto count = static_cast<std::size_t>(parts.count());
    digests.sha256.resize(count);
    digests.md5.resize(count);
    parallel_for_each(
        threads, std::views::iota(std::size_t{0}, count),
        [&](std::size_t part) {
          const memory_budget::share share(memory_, parts.size(part), stop_);
          bytes content(parts.size(part));
          source.read(parts.offset(part), content);
          digests.sha256[part] = sha256(content);
          digests.md5[part] = md5(content);
          use(part, content, digests.sha256[part]);
        },
        stop_);
    return digests;
  }

  /// Whether what was read is what the source's server keeps, as far as its ETag tells. An ETag that is no MD5 looks
  /// the same as damage on the way; reading again tells them apart. Before anything is replaced.
  static void check_source(sync_source& source, byte_view content, const id& sum) {
    const auto etag = source.etag();
    const bool in_one_part = parts_in_etag(etag) == 1;
    if ((!is_md5_etag(etag) && !in_one_part) || etag == content_digests{{}, {md5(content)}}.etag(in_one_part)) return;
    bytes again(content.size());
    source.read(0, again);
    if (sha256(again) != sum) throw read_differently();
  }

  /// The same for an object in the parts that it came in; those of others cannot be told.
  void check_source(sync_source& source, const content_digests& digests, const part_layout& parts, unsigned threads) {
    if (source.part_size() != parts.part || source.etag() == digests.etag(true)) return;
    const auto again = for_each_part(source, parts, threads, [](std::uint64_t, byte_view, const id&) {});
    if (again.sha256 != digests.sha256) throw read_differently();
  }

  [[nodiscard]] static error read_differently() {
    return {error_code::damaged, "the source gave other bytes when it was read again"};
  }

  void read_back(const sync_entry& entry, const content_digests& digests, const part_layout& parts, unsigned threads) {
    const auto stored = to_.open(entry);
    if (stored->size() != parts.total)
      throw error(error_code::damaged, "the copy has another size than what was copied");
    const auto found = for_each_part(*stored, parts, threads, [](std::uint64_t, byte_view, const id&) {});
    if (found.sha256 != digests.sha256) throw error(error_code::damaged, "what was read back is not what was copied");
  }

  [[nodiscard]] bool is_same(const sync_entry& entry, sync_source& source, const part_layout& parts, unsigned threads) {
    const auto stored = to_.open(entry);
    if (stored->size() != parts.total) return false;
    const auto ignore = [](std::uint64_t, byte_view, const id&) {};
    return for_each_part(source, parts, threads, ignore).sha256 ==
           for_each_part(*stored, parts, threads, ignore).sha256;
  }

  sync_place& from_;
  sync_place& to_;
  const sync_options& options_;
  sync_observer& observer_;
  const std::stop_token stop_;
  memory_budget memory_;
  std::mutex mutex_;  // guards the result
  sync_result result_;
};

}  // namespace sync_execution

/// Throws interrupted, no_space, or http_error if a server is gone: then the next run goes on from there. Everything
/// else is in the result's failures, and then nothing is removed.
[[nodiscard]] inline sync_result execute_sync(const sync_plan& plan, sync_place& from, sync_place& to,
                                              const sync_options& options, sync_observer& observer,
                                              std::stop_token stop = {}) {
  if (plan.empties_destination && !options.allow_emptying)
    throw error(error_code::invalid_argument, "this would remove all " + std::to_string(plan.removals.size()) +
                                                  " objects from " + to.describe() + ", none of which is in " +
                                                  from.describe() +
                                                  ": is that the right source? If so, allow it (--allow-emptying)");
  sync_execution::executor executor(from, to, options, observer, std::move(stop));
  executor.copy_all(plan.items);
  const bool all_went_well = plan.failures.empty() && !executor.has_failed();
  if (all_went_well) executor.remove_all(plan.removals);
  to.settle();
  auto result = executor.take();
  result.equal += plan.equal;
  result.failures.insert(result.failures.begin(), plan.failures.begin(), plan.failures.end());
  return result;
}

}  // namespace recoup
