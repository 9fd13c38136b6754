// decode_pack_header. The first eight bytes are the size of the pack; a second try uses the size that would be right.
#include <recoup/repo/pack_header.hpp>

#include <cstring>

#include "fuzz.hpp"

namespace {

void decode(recoup::byte_view header, std::uint64_t pack_size) {
  using namespace recoup;
  std::vector<packed_blob> blobs;
  if (!accepts([&] { blobs = decode_pack_header(header, pack_size); })) return;
  std::uint64_t offset = 0;
  for (const auto& blob : blobs) {
    require(blob.offset == offset && blob.length >= 32, "blobs follow one another");
    offset += blob.length;
  }
  require(offset + pack_format::header_overhead(blobs) == pack_size, "blobs and header fill the pack");
  require(encode_pack_header(blobs) == bytes(header.begin(), header.end()), "a header comes back");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace recoup;
  if (size < 8) return 0;
  std::uint64_t pack_size = 0;
  std::memcpy(&pack_size, data, 8);
  const byte_view header(data + 8, size - 8);
  decode(header, pack_size);

  std::uint64_t right = header.size() + 36;
  for (auto rest = header; rest.size() >= pack_format::plain_entry;) {
    right += load_u32_le(&rest[1]);
    rest = rest.subspan(std::min(rest.size(), rest[0] < 2 ? pack_format::plain_entry : pack_format::compressed_entry));
  }
  decode(header, right);
  return 0;
}
