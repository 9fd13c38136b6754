// Dividing packs among index files that are as full as restic makes them.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include <recoup/repo/index_file.hpp>
#include <recoup/repo/indexed_pack.hpp>
#include <recoup/repo/pack_mark.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

/// What one index file says.
struct index_contents {
  std::vector<indexed_pack> packs;
  std::vector<marked_pack> marked;  ///< for deletion

  [[nodiscard]] bool empty() const noexcept { return packs.empty() && marked.empty(); }
};

/// Not thread-safe.
class full_index_files {
public:
  /// Returns what an index file is to say that is full now and is to be saved; nothing otherwise.
  [[nodiscard]] index_contents add(indexed_pack pack) {
    blobs_ += pack.blobs.size();
    next_.packs.push_back(std::move(pack));
    return take_if_full();
  }
  [[nodiscard]] index_contents add(marked_pack pack) {
    blobs_ += pack.listing.blobs.size();
    next_.marked.push_back(std::move(pack));
    return take_if_full();
  }

  /// The last file, which is not full; perhaps nothing.
  [[nodiscard]] index_contents take_rest() {
    blobs_ = 0;
    return std::exchange(next_, {});
  }

private:
  [[nodiscard]] index_contents take_if_full() {
    return blobs_ >= most_blobs_per_index_file ? take_rest() : index_contents{};
  }

  index_contents next_;
  std::size_t blobs_ = 0;
};

/// Saves one index file, unless it would list nothing. Returns its name.
inline std::optional<id> save_index_file(repository& repo, const index_contents& contents) {
  if (contents.empty()) return std::nullopt;
  return repo.save_unpacked(file_type::index, encode_index(contents.packs, contents.marked));
}

}  // namespace recoup
