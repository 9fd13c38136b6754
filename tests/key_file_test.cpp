// Key files and the master key in them.
#include <recoup/repo/key_file.hpp>

#include "test_data.hpp"

namespace recoup {
namespace {

key_file sample() {
  key_file key;
  key.created = {1704164645, 0, 0};
  key.username = "u", key.hostname = "h";
  key.kdf = {128, 8, 1};
  key.salt = bytes(64, 0x01);
  key.data = bytes(160, 0x02);
  return key;
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  return text.replace(text.find(from), from.size(), to);
}

/// Bytes 0 to 63: the keys of restic.md, appendix A.
box_key appendix_key() {
  bytes raw(64);
  for (std::size_t i = 0; i < raw.size(); ++i) raw[i] = static_cast<std::uint8_t>(i);
  return box_key::from(raw);
}

constexpr std::string_view appendix_json = R"({"mac":{"k":"ICEiIyQlJicoKSorLC0uLw==","r":"MDEyMzQ1Njc4OTo7PD0+Pw=="},)"
                                           R"("encrypt":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="})";

TEST(key_file, encodes_as_restic_does) {
  const auto json = encode_key_file(sample());
  EXPECT_EQ(
      json,
      R"({"created":"2024-01-02T03:04:05Z","username":"u","hostname":"h","kdf":"scrypt","N":128,"r":8,"p":1,"salt":")" +
          to_base64(sample().salt) + R"(","data":")" + to_base64(sample().data) + "\"}");
  EXPECT_EQ(decode_key_file(as_bytes(json)), sample());
}

TEST(key_file, refuses_what_cannot_be_a_key) {
  const auto json = encode_key_file(sample());
  const auto refuse = [](const std::string& text, std::string_view part, error_code code = error_code::damaged) {
    expect_error(code, part, [&text] { (void)decode_key_file(as_bytes(text)); });
  };
  refuse("", "key file is damaged");
  refuse("{}", "key derivation", error_code::unsupported);
  refuse(replaced(json, "scrypt", "argon2id\\u001b"), "argon2id\\x1b", error_code::unsupported);
  refuse(replaced(json, "\"N\":128", "\"N\":127"), "power of two");
  refuse(replaced(json, "\"N\":128", "\"N\":9223372036854775808"), "1 GiB");
  refuse(replaced(json, "\"N\":128", "\"N\":-128"), "field N: must be an integer");
  refuse(replaced(json, "\"r\":8", "\"r\":0"), "must not be 0");
  refuse(replaced(json, "\"p\":1", "\"p\":4294967295"), "");
  refuse(replaced(json, to_base64(sample().salt), "AAAA"), "salt has 3 bytes");
  refuse(replaced(json, to_base64(sample().data), "AAAA"), "sealed master key has only 3 bytes");
  refuse(replaced(json, to_base64(sample().data), "A"), "field data: must be base64");
}

TEST(master_key, encodes_as_restic_does) {
  const auto json = encode_master_key(appendix_key());
  EXPECT_EQ(as_text(json.view()), appendix_json);
  EXPECT_EQ(to_hex(decode_master_key(json.view()).raw()), to_hex(appendix_key().raw()));
}

TEST(master_key, order_and_blanks_do_not_matter) {
  const std::string other =
      " { \"encrypt\" : \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\" , \"x\":1, \"mac\" : "
      "{\"r\":\"MDEyMzQ1Njc4OTo7PD0+Pw==\", \"k\":\"ICEiIyQlJicoKSorLC0uLw==\" } }\n";
  EXPECT_EQ(to_hex(decode_master_key(as_bytes(other)).raw()), to_hex(appendix_key().raw()));
}

TEST(master_key, every_part_in_its_full_length) {
  const std::string json(appendix_json);
  const auto refuse = [](const std::string& text, std::string_view part) {
    expect_error(error_code::damaged, part, [&text] { (void)decode_master_key(as_bytes(text)); });
  };
  refuse("{}", "a part of the key is missing");
  refuse(replaced(json, "\"k\"", "\"q\""), "a part of the key is missing");
  refuse(replaced(json, "\"mac\"", "\"mat\""), "a part of the key is missing");
  refuse(replaced(json, "ICEiIyQlJicoKSorLC0uLw==", "ICEi"), "field mac.k: must be 16 bytes in base64");
  refuse(replaced(json, "ICEiIyQlJicoKSorLC0uLw==", "ICEiIyQlJicoKSorLC0uLy8v"), "field mac.k: must be 16 bytes");
  refuse(replaced(json, "MDEy", "**Ey"), "field mac.r: must be 16 bytes in base64");
  refuse(replaced(json, "\"AAEC", "null,\"x\":\"AAEC"), "field encrypt: must be a string");
}

TEST(master_key, opens_from_a_sealed_key_file) {
  auto key = sample();
  box sealer(derive_key("geheim", key.salt, key.kdf));
  key.data = sealer.seal(encode_master_key(appendix_key()).view());
  const auto read = decode_key_file(as_bytes(encode_key_file(key)));
  const auto opened = box(derive_key("geheim", read.salt, read.kdf)).open(read.data);
  EXPECT_EQ(to_hex(decode_master_key(opened).raw()), to_hex(appendix_key().raw()));
}

}  // namespace
}  // namespace recoup
