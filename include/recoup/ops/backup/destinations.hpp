// The repositories that a backup goes to: mostly one, or several that get the same snapshot from one reading.
//
//   what has been read and cut -> the first that works names and stores it -> each of the others stores what it lacks
//   one fails? -> it gets no snapshot; the others do, unless none is left
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/core/interrupt.hpp>
#include <recoup/ops/backup/options.hpp>
#include <recoup/ops/save_and_flush.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

/// One of them. Members may be called from any thread.
class backup_destination {
public:
  backup_destination(repository& to, const std::optional<parent_snapshot>& before, std::stop_token must_stop)
      : repo(to), parent(before), stop(std::move(must_stop)) {}

  [[nodiscard]] bool works() const noexcept { return works_.load(); }
  [[nodiscard]] std::optional<error> failure() const {
    const std::lock_guard lock(mutex_);
    return failure_;
  }
  /// The first reason counts. True if this is it.
  bool fail(const error& reason) {
    const std::lock_guard lock(mutex_);
    if (failure_) return false;
    failure_ = reason;
    works_ = false;
    return true;
  }

  void count(blob_type type, const saved_blob& saved, std::size_t length) {
    if (!saved.is_new) return;
    const std::lock_guard lock(mutex_);
    if (type == blob_type::tree)
      added_ += {0, 0, 0, 1, length, saved.stored_length};
    else
      added_ += {1, length, saved.stored_length, 0, 0, 0};
  }
  [[nodiscard]] item_stats added() const {
    const std::lock_guard lock(mutex_);
    return added_;
  }

  repository& repo;
  const std::optional<parent_snapshot>& parent;
  const std::stop_token stop;

private:
  std::atomic<bool> works_{true};
  mutable std::mutex mutex_;  // guards what follows
  std::optional<error> failure_;
  item_stats added_;
};

class backup_destinations {
public:
  /// The options must outlive this. Throws invalid_argument if the repositories cut files in different ways, or if one
  /// is there twice.
  backup_destinations(repository& first, const backup_options& options, backup_observer& observer)
      : options_(options), observer_(observer) {
    all_.push_back(std::make_unique<backup_destination>(first, options.parent, std::stop_token{}));
    for (const auto& each : options.also) {
      require_same_cuts(first, *each.repo);
      for (const auto& other : all_)
        if (other->repo.config().id == each.repo->config().id)
          throw same_repository(other->repo, *each.repo);
      all_.push_back(std::make_unique<backup_destination>(*each.repo, each.parent, each.stop));
    }
  }

  [[nodiscard]] std::size_t size() const noexcept { return all_.size(); }
  [[nodiscard]] backup_destination& operator[](std::size_t number) const noexcept { return *all_[number]; }
  [[nodiscard]] backup_destination& first() const noexcept { return *all_.front(); }

  /// As repository::save_blobs. The results are those of the first repository that works.
  void save(blob_type type, std::span<const byte_view> contents, std::span<saved_blob> results) {
    if (size() == 1) return first().repo.save_blobs(type, contents, results);
    std::size_t number = 0;
    while (!attempt(*all_[number], [&](repository& repo) { repo.save_blobs(type, contents, results); }))
      if (++number == size()) throw none_works();
    for (std::size_t i = 0; i < contents.size(); ++i) all_[number]->count(type, results[i], contents[i].size());
    while (++number < size()) {
      auto& other = *all_[number];
      (void)attempt(other, [&](repository& repo) {
        for (std::size_t i = 0; i < contents.size(); ++i)
          other.count(type, repo.save_blob({type, results[i].id}, {contents[i]}), contents[i].size());
      });
    }
  }

  [[nodiscard]] saved_blob save(blob_type type, byte_view content) {
    saved_blob result;
    save(type, std::span(&content, 1), std::span(&result, 1));
    return result;
  }

  /// True if the blobs are in the index of each repository that works.
  [[nodiscard]] bool contain(std::span<const id> blobs) const {
    return std::ranges::all_of(all_, [&](const auto& each) { return !each->works() || contains(each->repo, blobs); });
  }
  [[nodiscard]] static bool contains(const repository& repo, std::span<const id> blobs) {
    return std::ranges::all_of(blobs, [&](const id& blob) { return repo.index().contains({blob_type::data, blob}); });
  }

  /// As recoup::save_and_flush.
  template <class Save>
  [[nodiscard]] auto save_and_flush(Save&& save) {
    if (size() == 1) return recoup::save_and_flush(first().repo, save);
    const auto guarded = [&] {
      try {
        return save();
      } catch (const std::exception&) {
        flush_quietly();
        throw;
      }
    };
    auto result = guarded();
    for (auto& each : all_) (void)attempt(*each, [](repository& repo) { repo.flush(); });
    flush_quietly();
    return result;
  }

  /// Does something in a repository. False if that has failed, now or before; the observer has been told then. What
  /// goes wrong in the last one that works is thrown, and so is being interrupted.
  template <class Work>
  bool attempt(backup_destination& in, Work&& work) {
    if (!in.works()) return false;
    if (size() == 1) {
      work(in.repo);
      return true;
    }
    try {
      if (in.stop.stop_requested())
        throw error(error_code::locked, "the lock on the repository could not be kept");
      work(in.repo);
      return true;
    } catch (const error& problem) {
      throw_if_stopped(options_.stop);  // then it is nobody's fault
      if (problem.code() == error_code::interrupted) throw;
      const bool is_news = in.fail(problem);
      if (std::ranges::none_of(all_, [](const auto& each) { return each->works(); })) throw;
      if (is_news) observer_.on_repository_failed(in.repo.storage().location(), problem);
      return false;
    }
  }

private:
  [[nodiscard]] static error same_repository(const repository& a, const repository& b) {
    return {error_code::invalid_argument, a.storage().location() + " and " + b.storage().location() +
                                              " are the same repository, or one is a copy of the other's files; give "
                                              "it once, and make the second with `recoup init`"};
  }

  static void require_same_cuts(const repository& a, const repository& b) {
    if (a.config().chunker_polynomial == b.config().chunker_polynomial) return;
    throw error(error_code::invalid_argument,
                "the repositories " + a.storage().location() + " and " + b.storage().location() +
                    " cut files at different places, so one reading cannot serve both; make the second with `recoup "
                    "init --from-repo FIRST --copy-chunker-params` and, if it has snapshots that are wanted, "
                    "`recoup copy` them into the new one");
  }

  [[nodiscard]] static error none_works() {
    return {error_code::failure, "none of the repositories can be written to any more"};
  }

  /// What is durable goes into an index even where something has failed.
  void flush_quietly() noexcept {
    for (auto& each : all_) {
      try {
        each->repo.flush();
      } catch (const std::exception&) {  // the reason is known by now; the next backup adopts the packs
      }
    }
  }

  const backup_options& options_;
  backup_observer& observer_;
  std::vector<std::unique_ptr<backup_destination>> all_;
};

}  // namespace recoup
