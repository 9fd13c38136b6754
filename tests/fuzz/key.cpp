// Key files, and the master key that is sealed in them: whoever stores the repository can replace the former.
#include <recoup/repo/key_file.hpp>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace recoup;
  key_file read;
  if (accepts([&] { read = decode_key_file({data, size}); })) {
    require(read.kdf.n * read.kdf.r * 128 <= max_scrypt_memory, "scrypt's memory is bounded");
    require(read.data.size() >= box_overhead && read.salt.size() == key_salt_size, "lengths are checked");
    require(decode_key_file(as_bytes(encode_key_file(read))) == read, "a key file comes back");
  }
  std::optional<box_key> master;
  if (accepts([&] { master.emplace(decode_master_key({data, size})); }))
    require(to_hex(decode_master_key(encode_master_key(*master).view()).raw()) == to_hex(master->raw()),
            "a master key comes back");
  return 0;
}
