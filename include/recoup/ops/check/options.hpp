// What a check is told, what it reports, and what it says in the end.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <variant>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/ops/check/affected_items.hpp>
#include <recoup/ops/snapshots.hpp>

namespace recoup {

/// Which packs to read and verify to the last byte.
struct no_packs {};
struct all_packs {};
/// Group `group` of `groups`, both from 1: packs whose id's first byte is group - 1 modulo groups, so that all groups
/// together are all packs.
struct pack_group {
  unsigned group = 1, groups = 1;
};
/// A random part, at least one pack.
struct pack_percentage {
  double percent = 100;
};
/// Random packs of about this many bytes.
struct pack_bytes {
  std::uint64_t bytes = 0;
};
using pack_selection = std::variant<no_packs, all_packs, pack_group, pack_percentage, pack_bytes>;

struct check_options {
  pack_selection read_data = no_packs{};
  /// Only these snapshots and the packs that hold their blobs; nothing means all.
  std::optional<std::vector<found_snapshot>> snapshots;
  /// When something that snapshots may need is damaged: find out which of them, and which files in them, need it. Reads
  /// all trees once more, and packs of the wrong length whole.
  bool find_affected = false;
  unsigned threads = 0;  ///< 0: one per processor, and for packs up to 5 if the storage has as many connections
  std::stop_token stop{};
};

enum class check_phase {
  index,
  snapshots,
  data,
  damaged,   ///< packs of which is not known yet which of their blobs are lost
  affected,  ///< trees, to find what needs the lost blobs
};

/// Called from any thread, but from one at a time.
class check_observer {
public:
  check_observer() = default;
  check_observer(const check_observer&) = delete;
  check_observer& operator=(const check_observer&) = delete;
  virtual ~check_observer() = default;

  /// Begins with done = 0; `total` does not change within a phase. In `index` files are counted, in `data` and
  /// `damaged` packs, in `affected` trees, of which nobody knows how many there are: `total` is 0.
  virtual void on_progress(check_phase /*phase*/, std::uint64_t /*done*/, std::uint64_t /*total*/) {}
  /// In `data`, before on_progress: bytes of the packs counted there.
  virtual void on_bytes_read(std::uint64_t /*done*/, std::uint64_t /*total*/) {}
  /// Something is damaged or missing. `text` names it.
  virtual void on_error(const std::string& /*text*/) {}
  /// Untidy, but nothing is lost by it.
  virtual void on_hint(const std::string& /*text*/) {}
};

struct check_result {
  std::uint64_t errors = 0;
  std::set<id> broken_packs;      ///< `repair packs` takes what is left out of them
  std::set<id> broken_snapshots;  ///< files that cannot be read
  std::set<id> damaged_indexes;
  std::uint64_t unreferenced_packs = 0;  ///< in no index: garbage of interrupted runs
  std::uint64_t marked_packs = 0;         ///< for deletion, by a two-phase prune or by rustic
  std::uint64_t needed_marked_packs = 0;  ///< of which snapshots need something: the next prune keeps them
  bool suggest_repair_index = false, suggest_prune = false;
  std::optional<affected_items> affected;  ///< what `find_affected` asks for; nothing, if there was no reason to search

  [[nodiscard]] bool clean() const noexcept { return errors == 0; }
};

}  // namespace recoup
