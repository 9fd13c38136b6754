// A pack and what is in it, as an index lists them.
#pragma once

#include <vector>

#include <recoup/core/id.hpp>
#include <recoup/repo/blob.hpp>

namespace recoup {

struct indexed_pack {
  id pack;
  std::vector<packed_blob> blobs;
};

}  // namespace recoup
