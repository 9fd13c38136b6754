// decode_lock_file.
#include <recoup/repo/lock_file.hpp>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace recoup;
  lock_file read;
  if (!accepts([&] { read = decode_lock_file({data, size}); })) return 0;
  require(decode_lock_file(as_bytes(encode_lock_file(read))) == read, "a lock comes back");
  return 0;
}
