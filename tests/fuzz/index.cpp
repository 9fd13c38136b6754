// decode_index.
#include <recoup/repo/index_file.hpp>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace recoup;
  const auto decode = [](byte_view json) {
    std::vector<indexed_pack> packs;
    decode_index(json, [&packs](const indexed_pack& entry) { packs.push_back(entry); });
    return packs;
  };
  std::vector<indexed_pack> packs;
  if (!accepts([&] { packs = decode({data, size}); })) return 0;
  for (const auto& pack : packs)
    for (const auto& blob : pack.blobs) {
      require(blob.length >= 32, "a box is at least empty");
      require(std::uint64_t{blob.offset} + blob.length <= UINT32_MAX, "a blob lies within 4 GiB");
    }
  const auto json = encode_index(packs);
  require(encode_index(decode(as_bytes(json))) == json, "an index comes back");
  return 0;
}
