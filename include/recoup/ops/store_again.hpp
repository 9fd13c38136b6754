// Storing blobs that the repository has already: out of packs that are going to be removed.
#pragma once

#include <cstddef>
#include <string>

#include <recoup/repo/blob.hpp>
#include <recoup/repo/blob_codec.hpp>
#include <recoup/repo/blob_index.hpp>
#include <recoup/repo/blob_saver.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

/// Each blob once, whatever the repository's own index says of it: that stays as it is. Members may be called from any
/// thread, but flush() not at the same time as save().
class blobs_stored_again {
public:
  explicit blobs_stored_again(repository& repo)
      : saver_(repo.storage(), repo.master_key(), repo.codecs(), stored_, repo.options().pack_size,
               [&repo](const std::string& json) { repo.save_unpacked(file_type::index, json); }) {}

  /// See blob_saver::save.
  saved_blob save(const blob_handle& handle, const opened_blob& blob) { return saver_.save(handle, blob); }

  /// Waits until all is durable and in index files.
  void flush() { saver_.flush(); }

  /// Blobs that are durable.
  [[nodiscard]] std::size_t size() const noexcept { return stored_.size(); }

private:
  blob_index stored_;
  blob_saver saver_;  // last: its threads use what is above
};

}  // namespace recoup
