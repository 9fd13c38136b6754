// decode_index.
#include <recoup/repo/index_file.hpp>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace recoup;
  std::vector<indexed_pack> packs;
  std::vector<marked_pack> marked;
  const auto decode = [&](byte_view json) {
    packs.clear();
    marked.clear();
    decode_index(
        json, [&packs](const indexed_pack& entry) { packs.push_back(entry); },
        [&marked](const marked_pack& entry) { marked.push_back(entry); });
  };
  if (!accepts([&] { decode({data, size}); })) return 0;
  for (const auto& pack : packs)
    for (const auto& blob : pack.blobs) {
      require(blob.length >= 32, "a box is at least empty");
      require(std::uint64_t{blob.offset} + blob.length <= UINT32_MAX, "a blob lies within 4 GiB");
    }
  for (const auto& pack : marked)
    for (const auto& blob : pack.listing.blobs)
      require(std::uint64_t{blob.offset} + blob.length <= UINT32_MAX, "a blob in a marked pack does too");
  const auto json = encode_index(packs, marked);
  decode(as_bytes(json));
  require(encode_index(packs, marked) == json, "an index comes back");
  return 0;
}
