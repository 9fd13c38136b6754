// decode_snapshot.
#include <recoup/repo/snapshot.hpp>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace recoup;
  snapshot read;
  if (!accepts([&] { read = decode_snapshot({data, size}); })) return 0;
  require(decode_snapshot(as_bytes(encode_snapshot(read))) == read, "a snapshot comes back");
  return 0;
}
