// Dividing packs among index files that are as full as restic makes them.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include <recoup/repo/index_file.hpp>
#include <recoup/repo/indexed_pack.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

/// Not thread-safe.
class full_index_files {
public:
  /// Returns the packs of an index file that is full now and is to be saved; none otherwise.
  [[nodiscard]] std::vector<indexed_pack> add(indexed_pack pack) {
    blobs_ += pack.blobs.size();
    packs_.push_back(std::move(pack));
    return blobs_ >= most_blobs_per_index_file ? take_rest() : std::vector<indexed_pack>{};
  }

  /// The packs of the last file, which is not full; perhaps none.
  [[nodiscard]] std::vector<indexed_pack> take_rest() {
    blobs_ = 0;
    return std::exchange(packs_, {});
  }

private:
  std::vector<indexed_pack> packs_;
  std::size_t blobs_ = 0;
};

/// Saves one index file, unless it would list nothing.
inline void save_index_file(repository& repo, const std::vector<indexed_pack>& packs) {
  if (!packs.empty()) repo.save_unpacked(file_type::index, encode_index(packs));
}

}  // namespace recoup
