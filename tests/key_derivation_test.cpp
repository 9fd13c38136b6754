#include <recoup/crypto/key_derivation.hpp>

#include <gtest/gtest.h>

#include <bit>
#include <string>

namespace {

using recoup::bytes;
using recoup::derive_key;
using recoup::error;
using recoup::error_code;
using recoup::scrypt_parameters;

bytes counting_salt() {
  bytes salt(64);
  for (std::size_t i = 0; i < salt.size(); ++i) salt[i] = static_cast<std::uint8_t>(i);
  return salt;
}

std::string refusal(const scrypt_parameters& parameters, std::size_t salt_size = 64) {
  try {
    (void)derive_key("geheim", bytes(salt_size, 1), parameters);
  } catch (const error& problem) {
    EXPECT_EQ(problem.code(), error_code::damaged);
    return problem.what();
  }
  return "accepted";
}

TEST(derive_key, known_answer) {
  EXPECT_EQ(recoup::to_hex(derive_key("geheim", counting_salt(), {128, 8, 1}).raw()),
            "08a07217ce3d848085ac27d037295501f1c3153a4708c2685067e009766625b4"
            "1d888c481af4422f7b905d698f2e88ce6303d2c6bf664ea5d2184924fc4636e7");
}

TEST(derive_key, every_input_matters) {
  const auto salt = counting_salt();
  const auto key = [](std::string_view password, const bytes& with, scrypt_parameters parameters) {
    return recoup::to_hex(derive_key(password, with, parameters).raw());
  };
  const auto usual = key("geheim", salt, {16, 1, 1});
  EXPECT_EQ(usual, key("geheim", salt, {16, 1, 1}));
  auto other_salt = salt;
  other_salt[63] ^= 1;
  EXPECT_NE(usual, key("geheim", other_salt, {16, 1, 1}));
  EXPECT_NE(usual, key("geheim ", salt, {16, 1, 1}));
  EXPECT_NE(usual, key("", salt, {16, 1, 1}));
  EXPECT_NE(usual, key({}, salt, {32, 1, 1}));
  EXPECT_NE(usual, key("geheim", salt, {32, 1, 1}));
  EXPECT_NE(usual, key("geheim", salt, {16, 2, 1}));
  EXPECT_NE(usual, key("geheim", salt, {16, 1, 2}));
}

TEST(derive_key, parameters_of_a_hostile_key_file_are_refused_before_they_cost_anything) {
  EXPECT_NE(refusal({0, 8, 1}).find("power of two"), std::string::npos);
  EXPECT_NE(refusal({1, 8, 1}).find("power of two"), std::string::npos);
  EXPECT_NE(refusal({1000, 8, 1}).find("power of two"), std::string::npos);
  EXPECT_NE(refusal({1024, 0, 1}).find("must not be 0"), std::string::npos);
  EXPECT_NE(refusal({1024, 8, 0}).find("must not be 0"), std::string::npos);
  EXPECT_NE(refusal({1 << 21, 8, 1}).find("memory"), std::string::npos);
  EXPECT_NE(refusal({std::uint64_t{1} << 63, 8, 1}).find("memory"), std::string::npos);
  EXPECT_NE(refusal({2, UINT32_MAX, 1}).find("memory"), std::string::npos);
  EXPECT_NE(refusal({2, 1, UINT32_MAX}).find("minutes"), std::string::npos);
  EXPECT_NE(refusal({1 << 20, 8, 9}).find("minutes"), std::string::npos);
}

TEST(derive_key, a_salt_has_64_bytes) {
  EXPECT_NE(refusal({16, 1, 1}, 0).find("salt"), std::string::npos);
  EXPECT_NE(refusal({16, 1, 1}, 32).find("salt"), std::string::npos);
  EXPECT_NE(refusal({16, 1, 1}, 65).find("salt"), std::string::npos);
  EXPECT_EQ(refusal({16, 1, 1}, 64), "accepted");
}

TEST(calibrated, parameters_are_valid_and_not_cheap) {
  const auto chosen = recoup::calibrated();
  EXPECT_NO_THROW(recoup::check_scrypt(chosen));
  EXPECT_GE(chosen.n, 4096u);
  EXPECT_LE(chosen.n, 32768u);
  EXPECT_EQ(chosen.r, 8u);
  EXPECT_GE(chosen.p, 1u);
}

}  // namespace
