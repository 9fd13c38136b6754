// The config of a repository.
#include <recoup/repo/config.hpp>

#include "test_data.hpp"

namespace recoup {
namespace {

const std::string name(64, 'a');

std::string json(std::string_view version, std::string_view repository, std::string_view polynomial) {
  return "{\"version\":" + std::string(version) + ",\"id\":\"" + std::string(repository) +
         "\",\"chunker_polynomial\":\"" + std::string(polynomial) + "\"}";
}

TEST(config, encodes_as_restic_does) {
  repository_config config{1, name, {0x3da3358b4dc173}};
  EXPECT_EQ(encode_config(config), json("1", name, "3da3358b4dc173"));
  EXPECT_EQ(decode_config(as_bytes(encode_config(config))), config);
  config.version = 2;
  EXPECT_EQ(decode_config(as_bytes(encode_config(config))).version, 2u);
}

TEST(config, passes_over_what_rustic_adds) {
  auto text = json("2", name, "3da3358b4dc173");
  text.pop_back();
  text += R"(,"is_hot":null,"compression":3,"treepack_size":4194304,"chunker":"rabin","extra_verify":true})";
  EXPECT_EQ(decode_config(as_bytes(text)).chunker_polynomial.value, 0x3da3358b4dc173u);
}

TEST(config, other_versions_are_unsupported) {
  for (const auto* version : {"0", "3", "4294967295"})
    expect_error(error_code::unsupported, "format version " + std::string(version),
                 [&] { (void)decode_config(as_bytes(json(version, name, "3da3358b4dc173"))); });
  expect_error(error_code::unsupported, "format version 0", [] { (void)decode_config(as_bytes("{}")); });
}

TEST(config, refuses_bad_ids_and_polynomials) {
  const auto refuse = [](const std::string& text, std::string_view part) {
    expect_error(error_code::damaged, part, [&text] { (void)decode_config(as_bytes(text)); });
  };
  refuse("", "config is damaged");
  refuse(json("2", "../../../../etc/cron.d", "3da3358b4dc173"), "id must be 64 hexadecimal digits");
  refuse(json("2", name.substr(1), "3da3358b4dc173"), "id must be 64 hexadecimal digits");
  refuse(json("2", name, ""), "chunker_polynomial is not irreducible");
  refuse(json("2", name, "0x3da3358b4dc173"), "chunker_polynomial is not irreducible");
  refuse(json("2", name, "3da3358b4dc172"), "chunker_polynomial is not irreducible");  // divisible by x
  refuse(json("2", name, "7"), "chunker_polynomial is not irreducible");               // is, but of degree 2
  refuse(json("2", name, "ffffffffffffffffff"), "chunker_polynomial is not irreducible");
  refuse(json("-1", name, "3da3358b4dc173"), "field version: must be an integer");
}

}  // namespace
}  // namespace recoup
