// Reading many blobs at once: what lies near each other in a pack comes with one request.
//
//   sort what is wanted by pack and offset -> divide_into_parts -> each thread, with a part_reader of its own:
//     load a part -> open the blobs in it, one by one or some at a time
#pragma once

#include <algorithm>
#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/repo/blob.hpp>
#include <recoup/repo/blob_codec.hpp>
#include <recoup/repo/blob_group.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/storage/backend.hpp>

namespace recoup {

/// Where a stored blob lies. What stands for the pack is up to the caller, as long as packs differ in it.
struct pack_place {
  std::uint32_t pack = 0;
  std::uint32_t offset = 0, length = 0;  ///< bytes
};

/// Elements [first, end) of what is wanted, to be read with one request.
struct pack_part {
  std::size_t first = 0, end = 0;
  std::uint32_t offset = 0, length = 0;  ///< in the pack, bytes
};

/// Divides `count` wanted blobs, of which `place_of(i)` gives the pack_place, in ascending order of pack and offset.
template <class PlaceOf>
[[nodiscard]] std::vector<pack_part> divide_into_parts(std::size_t count, PlaceOf&& place_of) {
  // Reading a gap costs less than another request: restic allows 1 MiB. Parts are small enough to be spread evenly
  // over threads and to stay in the processor's cache, large enough to hide a request's latency.
  constexpr std::uint64_t largest_gap = 256 << 10;
  constexpr std::uint64_t longest_part = 4 << 20;
  std::vector<pack_part> parts;
  std::uint32_t pack = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const pack_place place = place_of(i);
    const auto end = std::uint64_t{place.offset} + place.length;
    if (!parts.empty() && pack == place.pack) {
      auto& last = parts.back();
      const auto last_end = std::uint64_t{last.offset} + last.length;
      if (place.offset <= last_end + largest_gap && (end <= last_end || end - last.offset <= longest_part)) {
        last.end = i + 1;
        last.length = static_cast<std::uint32_t>(std::max(last_end, end) - last.offset);
        continue;
      }
    }
    pack = place.pack;
    parts.push_back({i, i + 1, place.offset, place.length});
  }
  return parts;
}

/// One per thread; keeps its memory from part to part. The index must be loaded.
class part_reader {
public:
  explicit part_reader(repository& repo) : repo_(repo), codec_(repo.codecs().take()) {}

  /// Reads a part of a pack. What goes wrong is not told here: then open() looks for each blob by itself.
  void load(const stored_file& pack, std::uint32_t offset, std::uint32_t length) {
    offset_ = offset;
    try {
      sealed_.resize(length);
      repo_.storage().load(pack, offset, sealed_);
      return;
    } catch (const error&) {
    } catch (const std::bad_alloc&) {
    }
    sealed_.clear();
  }

  /// Opens `count` blobs of the part that was loaded last, some at a time: calls take(i, const error* problem, byte_view
  /// content) for each i, in order, with the blob that blob_of(i) names. A blob that is not intact there is looked for as
  /// open() does. Contents are valid during the call.
  template <class BlobOf, class Take>
  void open_all(std::size_t count, BlobOf&& blob_of, Take&& take) {
    for (std::size_t begin = 0; begin < count;) {
      group_.clear();
      auto end = begin;
      for (; end < count; ++end) {
        const packed_blob blob = blob_of(end);
        if (group_.is_full_for(blob.plaintext_length())) break;
        add(blob);
      }
      group_.verify();
      for (auto i = begin; i < end; ++i) {
        const auto& [handle, content, problem] = group_.results()[i - begin];
        if (!problem)
          take(i, nullptr, content);
        else
          look_elsewhere(i, blob_of(i), take);
      }
      begin = end;
    }
  }

  /// Opens a blob of the part that was loaded last, each one once. If it is not intact there, all copies of it are
  /// tried. The result is valid until the next call. Throws what is wrong with the last of them.
  [[nodiscard]] opened_blob open(const packed_blob& blob) {
    try {
      if (!sealed_.empty()) return codec_->open_in_place(blob, part_of(blob));
    } catch (const error&) {
    } catch (const std::bad_alloc&) {
    }
    return open_elsewhere(blob);
  }

private:
  void add(const packed_blob& blob) {
    try {
      if (sealed_.empty()) throw error(error_code::io, "the part of the pack could not be read");
      group_.add_in_place(blob, part_of(blob), *codec_);
    } catch (const error& problem) {
      group_.add_missing(blob, problem);
    }
  }

  template <class Take>
  void look_elsewhere(std::size_t i, const packed_blob& blob, Take& take) {
    std::optional<error> problem;
    try {
      (void)open_elsewhere(blob);
    } catch (const error& thrown) {
      problem.emplace(thrown);
    }
    take(i, problem ? &*problem : nullptr, byte_view(content_));
  }

  /// Any intact copy.
  [[nodiscard]] opened_blob open_elsewhere(const packed_blob& blob) {
    try {
      content_ = repo_.load_blob(blob.handle);
    } catch (const std::bad_alloc&) {
      throw error(error_code::failure,
                  "not enough memory for a blob of " + std::to_string(blob.plaintext_length()) + " bytes");
    }
    // Callers have planned with what the index says.
    if (content_.size() != blob.plaintext_length())
      throw error(error_code::damaged, std::string(name_of(blob.handle.type)) + " blob " + blob.handle.id.hex() +
                                           " has " + std::to_string(content_.size()) + " bytes, but an index says " +
                                           std::to_string(blob.plaintext_length()));
    return {content_};
  }

  [[nodiscard]] byte_span part_of(const packed_blob& blob) {
    if (blob.offset < offset_ || std::uint64_t{blob.offset} - offset_ + blob.length > sealed_.size())
      throw error(error_code::invalid_argument, "a blob that is not in the part of the pack that was read");
    return byte_span(sealed_).subspan(blob.offset - offset_, blob.length);
  }

  repository& repo_;
  codec_pool::lease codec_;
  std::uint32_t offset_ = 0;
  bytes sealed_, content_;
  blob_group group_;
};

}  // namespace recoup
