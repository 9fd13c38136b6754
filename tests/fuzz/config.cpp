// decode_config.
#include <recoup/repo/config.hpp>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace recoup;
  repository_config read;
  if (!accepts([&] { read = decode_config({data, size}); })) return 0;
  require(read.version == 1 || read.version == 2, "the version is one we know");
  require(id::parse(read.id).has_value(), "the id can be part of a path");
  require(decode_config(as_bytes(encode_config(read))) == read, "a config comes back");
  return 0;
}
