// A pack that is marked for deletion, as an index file lists it beside the packs that count.
//
// "packs_to_delete" and its "time" are rustic's; "holders" is ours, which rustic and restic pass over.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <recoup/core/time.hpp>
#include <recoup/repo/indexed_pack.hpp>

namespace recoup {

/// Who held a lock. Locks change their names whenever they are refreshed, this stays.
struct lock_holder {
  std::string hostname, username;
  int pid = 0;

  [[nodiscard]] friend bool operator==(const lock_holder&, const lock_holder&) = default;
};

/// "PID 4711 on nas by root"
[[nodiscard]] inline std::string describe(const lock_holder& holder) {
  return "PID " + std::to_string(holder.pid) + " on " + holder.hostname + " by " + holder.username;
}

struct pack_mark {
  std::optional<timestamp> time;  ///< when it was marked
  /// Who may rely on the pack: held a lock when no index file listed it as one that counts any more. Nothing: not known.
  std::optional<std::vector<lock_holder>> holders;
  std::optional<std::uint32_t> size;  ///< bytes, of packs about which nothing else is known
};

struct marked_pack {
  indexed_pack listing;
  pack_mark mark;
};

/// What several marks of one pack say together: the later time, and everybody who may rely on it.
[[nodiscard]] inline pack_mark merged(pack_mark a, const pack_mark& b) {
  const bool both_timed = a.time && b.time;
  if (!both_timed)
    a.time.reset();
  else if (earlier(*a.time, *b.time))
    a.time = b.time;
  if (!a.holders || !b.holders) {
    a.holders.reset();
  } else {
    for (const auto& holder : *b.holders)
      if (std::ranges::find(*a.holders, holder) == a.holders->end()) a.holders->push_back(holder);
  }
  if (!a.size) a.size = b.size;
  return a;
}

}  // namespace recoup
