#include <recoup/chunker/polynomial.hpp>

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace {

using recoup::greatest_common_divisor;
using recoup::modulo;
using recoup::polynomial;

TEST(polynomial, degree_is_that_of_the_highest_term) {
  EXPECT_EQ(polynomial{0}.degree(), -1);
  EXPECT_EQ(polynomial{1}.degree(), 0);
  EXPECT_EQ(polynomial{0x3da3358b4dc173}.degree(), 53);
  EXPECT_EQ(polynomial{UINT64_MAX}.degree(), 63);
}

TEST(polynomial, arithmetic_obeys_the_laws_of_a_field) {
  constexpr polynomial modulus{0x3da3358b4dc173u};
  std::mt19937_64 random(7);
  for (int i = 0; i < 2000; ++i) {
    const auto a = modulo({random()}, modulus);
    const auto b = modulo({random()}, modulus);
    const auto c = modulo({random()}, modulus);
    const auto times = [&](polynomial x, polynomial y) { return multiply_modulo(x, y, modulus); };
    ASSERT_LT(a.degree(), modulus.degree());
    ASSERT_EQ(times(a, b), times(b, a));
    ASSERT_EQ(times(times(a, b), c), times(a, times(b, c)));
    ASSERT_EQ(times(a, {b.value ^ c.value}).value, times(a, b).value ^ times(a, c).value);
    ASSERT_EQ(times(a, {1}), a);
    ASSERT_EQ(times(a, {2}), modulo({a.value << 1}, modulus));
  }
}

TEST(polynomial, powers_of_x_are_shifts_until_they_wrap) {
  constexpr polynomial modulus{0x3da3358b4dc173u};
  EXPECT_EQ(power_of_x(0, modulus).value, 1u);
  EXPECT_EQ(power_of_x(52, modulus).value, std::uint64_t{1} << 52);
  EXPECT_EQ(power_of_x(53, modulus).value, modulus.value ^ std::uint64_t{1} << 53);
  EXPECT_EQ(power_of_x(512, modulus), multiply_modulo(power_of_x(500, modulus), power_of_x(12, modulus), modulus));
}

TEST(polynomial, common_divisor_is_found) {
  // (x+1)(x^2+x+1) = x^3+1 and (x+1)^2 = x^2+1 share x+1.
  EXPECT_EQ(greatest_common_divisor({0b1001}, {0b101}).value, 0b11u);
  EXPECT_EQ(greatest_common_divisor({0b111}, {0b11}).value, 1u);
  EXPECT_EQ(greatest_common_divisor({0}, {0b111}).value, 0b111u);
}

TEST(polynomial, small_irreducible_ones_are_those_without_a_divisor) {
  for (std::uint64_t value = 0; value < 2048; ++value) {
    bool prime = value > 1;
    for (std::uint64_t divisor = 2; prime && polynomial{divisor}.degree() * 2 <= polynomial{value}.degree(); ++divisor)
      prime = modulo({value}, {divisor}).value != 0;
    EXPECT_EQ(polynomial{value}.is_irreducible(), prime) << value;
  }
}

TEST(polynomial, restics_are_told_apart) {
  // From the tests of restic/chunker, and the polynomials of repositories that restic made.
  for (const std::uint64_t value : {0x3da3358b4dc173u, 0x2482734cacca49u, 0x25b468838dcb75u})
    EXPECT_TRUE(polynomial{value}.is_irreducible()) << std::hex << value;
  for (const std::uint64_t value : {0x38f1e565e288dfu, 0x30a8295b9d5c91u, 0x255f4350b962cbu, 0x267f776110a235u,
                                    0x2f4dae10d41227u, 0x312daf4b284899u, 0x29dfb6553d01d1u, 0x3548245eb26257u,
                                    0x3199e7ef4211b3u, 0x362f39017dae8bu, 0x200d57aa6fdacbu, 0x3143d0464b3299u})
    EXPECT_FALSE(polynomial{value}.is_irreducible()) << std::hex << value;
  static_assert(polynomial{0x3da3358b4dc173}.is_irreducible());
}

TEST(polynomial, random_ones_are_irreducible_of_degree_53_and_differ) {
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 20; ++i) {
    const auto chosen = polynomial::random();
    EXPECT_EQ(chosen.degree(), 53);
    EXPECT_TRUE(chosen.is_irreducible());
    EXPECT_TRUE(seen.insert(chosen.value).second);
  }
}

TEST(polynomial, text_form_is_that_of_restics_config) {
  EXPECT_EQ(polynomial{0x3da3358b4dc173}.hex(), "3da3358b4dc173");
  EXPECT_EQ(polynomial{0}.hex(), "0");
  EXPECT_EQ(polynomial::parse("3da3358b4dc173"), polynomial{0x3da3358b4dc173u});
  EXPECT_EQ(polynomial::parse("3DA3358B4DC173"), polynomial{0x3da3358b4dc173u});
  EXPECT_EQ(polynomial::parse("ffffffffffffffff"), polynomial{UINT64_MAX});
  for (const auto* bad : {"", "0x3d", "-1", "+1", " 1", "1 ", "3g", "1ffffffffffffffff", "00000000000000001"})
    EXPECT_EQ(polynomial::parse(bad), std::nullopt) << bad;
}

}  // namespace
