// What a restore keeps in memory between reading the trees and writing the contents.
//
// Trees are read once. Everything that is needed later is kept in a compact form: per file 72 bytes and the name, per
// blob of a file 24 bytes (64-bit). 200,000 files of one blob each make 25 MB.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <recoup/core/id.hpp>
#include <recoup/core/stable_table.hpp>
#include <recoup/repo/blob_index.hpp>
#include <recoup/repo/node.hpp>

namespace recoup {

/// Names, each followed by a NUL, where they stay.
class name_arena {
public:
  /// `name` must not hold a NUL.
  [[nodiscard]] const char* add(std::string_view name) {
    if (name.size() + 1 > room_) {
      const auto size = std::max(block_size, name.size() + 1);
      blocks_.push_back(std::make_unique_for_overwrite<char[]>(size));
      next_ = blocks_.back().get();
      room_ = size;
    }
    char* const place = next_;
    std::memcpy(place, name.data(), name.size());
    place[name.size()] = '\0';
    next_ += name.size() + 1;
    room_ -= name.size() + 1;
    return place;
  }

private:
  static constexpr std::size_t block_size = 64 << 10;

  std::vector<std::unique_ptr<char[]>> blocks_;
  char* next_ = nullptr;
  std::size_t room_ = 0;
};

/// What few nodes have.
struct rare_metadata {
  std::string user, group;
  std::vector<extended_attribute> extended_attributes;
};

/// A node without its name, content and other things that are not applied to a file.
struct kept_metadata {
  std::int64_t mtime = 0, atime = 0;
  std::int32_t mtime_nanoseconds = 0, atime_nanoseconds = 0;
  std::uint32_t mode = 0, uid = 0, gid = 0;
  std::uint32_t rare = UINT32_MAX;  ///< number in restore_plan::rare, if any
};

struct planned_file {
  /// Bits of `state`.
  static constexpr std::uint8_t exists = 1;     ///< a regular file is there, and blobs that match will not be written
  static constexpr std::uint8_t replaced = 2;   ///< what is there has other links, so a new file takes its place
  static constexpr std::uint8_t created = 4;    ///< opened for writing once; from then on it must be the file we made
  static constexpr std::uint8_t failed = 8;     ///< an error was reported
  static constexpr std::uint8_t unusable = 16;  ///< cannot be written to: do not try again for each blob
  static constexpr std::uint8_t unchanged = 32;

  const char* name = nullptr;
  std::uint64_t size = 0;  ///< bytes; the sum of its blobs
  kept_metadata metadata{};
  std::uint32_t directory = 0;
  std::uint32_t blobs = 0;
  std::atomic<std::uint32_t> remaining{0};  ///< blobs that are neither written nor given up
  std::atomic<std::uint8_t> state{0};

  [[nodiscard]] bool is(std::uint8_t bit) const noexcept { return (state.load(std::memory_order_acquire) & bit) != 0; }
  /// True if the bit was not set before.
  bool set(std::uint8_t bit) noexcept { return (state.fetch_or(bit, std::memory_order_acq_rel) & bit) == 0; }
};

/// One blob at one place of one file.
struct blob_reference {
  static constexpr std::uint32_t matches = UINT32_MAX;  ///< in place of a pack: the file holds this blob already

  std::uint32_t pack = 0;    ///< numbered in the order in which files need them
  std::uint32_t offset = 0;  ///< of the stored blob in its pack
  std::uint32_t blob = 0;    ///< number in the blob index
  std::uint32_t file = 0;
  std::uint64_t position = 0;  ///< in the file
};
static_assert(sizeof(blob_reference) == 24);

/// A run of references to one file, to be compared with what the file holds.
struct comparison {
  std::uint32_t file = 0;
  std::uint32_t count = 0;
  std::size_t first = 0;  ///< in restore_plan::references
};

/// A name for a file that another entry of the snapshot restores.
struct planned_link {
  std::uint32_t directory = 0, first_directory = 0;
  const char* name = nullptr;
  const char* first_name = nullptr;
};

struct link_key {
  std::uint64_t inode = 0, device = 0;
  [[nodiscard]] friend bool operator==(const link_key&, const link_key&) noexcept = default;
};

struct link_key_hash {
  [[nodiscard]] std::size_t operator()(const link_key& key) const noexcept {
    return static_cast<std::size_t>((key.inode ^ (key.device << 1)) * 0x9E3779B97F4A7C15u);
  }
};

/// What becomes of a file in view of what is in the target.
enum class file_fate : std::uint8_t {
  absent,   ///< nothing that could be kept is there
  exists,   ///< a regular file is there, to be compared
  trusted,  ///< it is there with equal size and time, and that is enough; it gets its metadata only
  spared,   ///< what is there must not be touched
};

/// A file as the walk finds it.
struct file_entry {
  std::uint32_t directory = 0;
  file_fate fate = file_fate::absent;
  const char* name = nullptr;
  std::uint64_t size = 0;  ///< as the tree says
  kept_metadata metadata{};
  std::vector<id> content{};
};

struct restore_plan {
  std::mutex mutex;  ///< while trees are read, guards everything that grows

  name_arena names;
  stable_table<rare_metadata> rare;
  stable_table<planned_file> files;
  std::vector<blob_reference> references;
  std::vector<comparison> comparisons;
  std::vector<planned_link> links;
  std::unordered_map<id, std::uint32_t, id_hash> packs;
  /// A tree held a name that no directory can hold. Somebody tampered with the repository, so nothing is deleted on the
  /// word of its trees.
  std::atomic<bool> suspicious{false};
  std::atomic<bool> selected_any{false};  ///< without that, the target itself is none of our business

  /// Not thread-safe, as all that changes the plan. `with_names`: owners are wanted by name.
  [[nodiscard]] kept_metadata keep(const node& from, bool with_names) {
    kept_metadata kept{from.mtime.seconds, from.atime.seconds, from.mtime.nanoseconds, from.atime.nanoseconds,
                       from.mode,          from.uid,           from.gid};
    if (with_names || !from.extended_attributes.empty())
      kept.rare = rare.append(rare_metadata{with_names ? from.user : "", with_names ? from.group : "",
                                            from.extended_attributes});
    return kept;
  }

  /// Fills in what applying metadata looks at.
  void recall(const kept_metadata& kept, node_type type, node& into) const {
    into.type = type;
    into.mode = kept.mode;
    into.uid = kept.uid;
    into.gid = kept.gid;
    into.mtime = {kept.mtime, kept.mtime_nanoseconds, 0};
    into.atime = {kept.atime, kept.atime_nanoseconds, 0};
    into.user.clear();
    into.group.clear();
    into.extended_attributes.clear();
    if (kept.rare == UINT32_MAX) return;
    into.user = rare[kept.rare].user;
    into.group = rare[kept.rare].group;
    into.extended_attributes = rare[kept.rare].extended_attributes;
  }
};

}  // namespace recoup
