#include <recoup/crypto/key_derivation.hpp>

#include <gtest/gtest.h>

#include <sodium.h>

#include <random>
#include <string>
#include <string_view>

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

std::string scrypt_hex(std::string_view password, std::string_view salt, const scrypt_parameters& parameters) {
  bytes out(64);
  recoup::scrypt(password, recoup::as_bytes(salt), parameters, out);
  return recoup::to_hex(out);
}

TEST(scrypt, answers_of_the_rfc) {
  // RFC 7914 section 12.
  EXPECT_EQ(scrypt_hex("", "", {16, 1, 1}), "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
                                            "fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906");
  EXPECT_EQ(scrypt_hex("password", "NaCl", {1024, 8, 16}),
            "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
            "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640");
  EXPECT_EQ(scrypt_hex("pleaseletmein", "SodiumChloride", {16384, 8, 1}),
            "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
            "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887");
}

TEST(scrypt, agrees_with_libsodium) {
  std::mt19937 random(43);
  for (int i = 0; i < 200; ++i) {
    bytes password(random() % 100), salt(1 + random() % 100), ours(1 + random() % 100), theirs(ours.size());
    for (auto* const data : {&password, &salt})
      for (auto& byte : *data) byte = static_cast<std::uint8_t>(random());
    password.reserve(1);
    const scrypt_parameters parameters{std::uint64_t{2} << random() % 9, 1 + static_cast<std::uint32_t>(random() % 9),
                                       1 + static_cast<std::uint32_t>(random() % 4)};
    recoup::scrypt(recoup::as_text(password), salt, parameters, ours);
    ASSERT_EQ(::crypto_pwhash_scryptsalsa208sha256_ll(password.data(), password.size(), salt.data(), salt.size(),
                                                      parameters.n, parameters.r, parameters.p, theirs.data(),
                                                      theirs.size()),
              0);
    ASSERT_EQ(ours, theirs) << parameters.n << " " << parameters.r << " " << parameters.p;
  }
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
  EXPECT_NE(refusal({2, 1 << 12, 1 << 12}).find("r * p"), std::string::npos);
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
