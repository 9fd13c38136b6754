// What a backup's journal says of a file that was read: the bytes inside a record's box.
//
//   offset  bytes
//        0     16   keyed hash of the path
//       16      8   size, bytes           what stat said before the file was read
//       24      8   inode
//       32      8   mtime, seconds
//       40      4     nanoseconds
//       44      8   ctime, seconds
//       52      4     nanoseconds
//       56      4   number, in the file, of the first blob that follows
//       60      4   how many follow; the highest bit is set if the file ends with them
//       64   32 n   their ids
//
// A record holds such entries one behind the other. All numbers are little-endian. A small file is one entry; of a
// large one each group of chunks is an entry as soon as it is stored, in any order, and the last, without blobs, says
// that it is all.
#pragma once

#include <sys/stat.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/repo/node.hpp>

namespace recoup {

using journal_hash = std::array<std::uint8_t, 16>;

/// By what a file is known to be the one that was read.
struct noted_status {
  std::uint64_t size = 0, inode = 0;
  std::int64_t mtime_seconds = 0, ctime_seconds = 0;
  std::uint32_t mtime_nanoseconds = 0, ctime_nanoseconds = 0;

  [[nodiscard]] friend bool operator==(const noted_status&, const noted_status&) noexcept = default;

  [[nodiscard]] static noted_status of(const struct stat& status) noexcept {
    return {static_cast<std::uint64_t>(status.st_size),
            status.st_ino,
            status.st_mtim.tv_sec,
            status.st_ctim.tv_sec,
            static_cast<std::uint32_t>(status.st_mtim.tv_nsec),
            static_cast<std::uint32_t>(status.st_ctim.tv_nsec)};
  }
  /// A node that was made from a status says the same.
  [[nodiscard]] static noted_status of(const node& made) noexcept {
    return {made.size,
            made.inode,
            made.mtime.seconds,
            made.ctime.seconds,
            static_cast<std::uint32_t>(made.mtime.nanoseconds),
            static_cast<std::uint32_t>(made.ctime.nanoseconds)};
  }
};

/// Blobs that lie behind one another in a file.
struct journal_entry {
  journal_hash path{};
  noted_status status;
  std::uint32_t first = 0;  ///< number of the first in the file
  bool is_end = false;      ///< the file ends with them
  std::span<const id> blobs;
};

namespace journal_format {

inline constexpr std::size_t entry_size = 64;  ///< without ids
inline constexpr std::uint32_t end_bit = std::uint32_t{1} << 31;

}  // namespace journal_format

/// At most 2^31 - 1 blobs.
inline void append_journal_entry(bytes& to, const journal_entry& entry) {
  using namespace journal_format;
  const auto begin = to.size();
  to.resize(begin + entry_size + entry.blobs.size_bytes());
  auto* const at = to.data() + begin;
  std::memcpy(at, entry.path.data(), entry.path.size());
  store_u64_le(at + 16, entry.status.size);
  store_u64_le(at + 24, entry.status.inode);
  store_u64_le(at + 32, static_cast<std::uint64_t>(entry.status.mtime_seconds));
  store_u32_le(at + 40, entry.status.mtime_nanoseconds);
  store_u64_le(at + 44, static_cast<std::uint64_t>(entry.status.ctime_seconds));
  store_u32_le(at + 52, entry.status.ctime_nanoseconds);
  store_u32_le(at + 56, entry.first);
  store_u32_le(at + 60, static_cast<std::uint32_t>(entry.blobs.size()) | (entry.is_end ? end_bit : 0));
  auto* id_at = at + entry_size;
  for (const auto& blob : entry.blobs) {
    std::memcpy(id_at, blob.value.data(), id::size);
    id_at += id::size;
  }
}

/// Calls `visit(const journal_entry&)` for each entry; its blobs are good until it returns. Throws damaged at the first
/// that is cut off, or that counts more blobs than can be numbered.
template <class Visit>
void decode_journal_entries(byte_view from, Visit&& visit) {
  using namespace journal_format;
  std::vector<id> blobs;
  while (!from.empty()) {
    if (from.size() < entry_size) throw error(error_code::damaged, "an entry of the journal is cut off");
    const auto* const at = from.data();
    journal_entry entry;
    std::memcpy(entry.path.data(), at, entry.path.size());
    entry.status.size = load_u64_le(at + 16);
    entry.status.inode = load_u64_le(at + 24);
    entry.status.mtime_seconds = static_cast<std::int64_t>(load_u64_le(at + 32));
    entry.status.mtime_nanoseconds = load_u32_le(at + 40);
    entry.status.ctime_seconds = static_cast<std::int64_t>(load_u64_le(at + 44));
    entry.status.ctime_nanoseconds = load_u32_le(at + 52);
    entry.first = load_u32_le(at + 56);
    const auto count = load_u32_le(at + 60);
    entry.is_end = (count & end_bit) != 0;
    const std::size_t number = count & ~end_bit;
    from = from.subspan(entry_size);
    if (number > from.size() / id::size || number > UINT32_MAX - std::size_t{entry.first})
      throw error(error_code::damaged, "an entry of the journal counts more blobs than there are");
    blobs.resize(number);
    for (auto& blob : blobs) {
      std::memcpy(blob.value.data(), from.data(), id::size);
      from = from.subspan(id::size);
    }
    entry.blobs = blobs;
    visit(static_cast<const journal_entry&>(entry));
  }
}

}  // namespace recoup
