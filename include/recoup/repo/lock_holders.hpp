// Who else holds a lock just now?
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/time.hpp>
#include <recoup/repo/lock.hpp>
#include <recoup/repo/lock_file.hpp>
#include <recoup/repo/pack_mark.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

/// Tells one's own locks from those of others, by their names; repository_lock::has_name.
using own_lock_test = std::function<bool(const id& lock)>;

namespace lock_listing {

inline constexpr int most_attempts = 50;

/// Adds those of one listing, all of whose locks could be read. False if one of them went meanwhile: perhaps it was
/// refreshed under another name.
[[nodiscard]] inline bool add_holders(repository& repo, const own_lock_test& is_own, std::vector<lock_holder>& holders) {
  const auto now = current_time();
  std::vector<id> vanished;
  for (const auto& file : repo.list(file_type::lock)) {
    if (is_own && is_own(file.name)) continue;
    const auto lock = load_lock(repo, file.name);
    if (!lock) {
      vanished.push_back(file.name);
    } else if (!is_abandoned(*lock, now)) {
      const auto holder = holder_of(*lock);
      if (std::ranges::find(holders, holder) == holders.end()) holders.push_back(holder);
    }
  }
  if (vanished.empty()) return true;
  // A file of no bytes stays. No living program's lock is one: it is written before anything else is done.
  const auto listed = repo.list(file_type::lock);
  return std::ranges::all_of(vanished, [&](const id& name) {
    return std::ranges::any_of(listed, [&](const listed_file& file) { return file.name == name; });
  });
}

}  // namespace lock_listing

/// Everybody who holds a lock from before the call until after it is in the result, and perhaps some who came or went
/// meanwhile. Locks that may be taken away unasked (is_abandoned) do not count; stale ones of other hosts do, whose owners
/// may be asleep. Throws if a lock cannot be read.
///
/// A refreshed lock has a new file before the old one goes; still, a listing that meets the place of the new one before
/// it is there and that of the old one when it is gone shows neither. Refreshes are minutes apart, so a second listing
/// shows it.
[[nodiscard]] inline std::vector<lock_holder> other_lock_holders(repository& repo, const own_lock_test& is_own) {
  std::vector<lock_holder> holders;
  int complete = 0;
  for (int attempt = 0; complete < 2; ++attempt) {
    if (attempt == lock_listing::most_attempts)
      throw error(error_code::failure, "locks come and go too fast to be read; try again when less is going on");
    if (lock_listing::add_holders(repo, is_own, holders)) ++complete;
  }
  return holders;
}

}  // namespace recoup
