#include <recoup/crypto/box.hpp>

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>

namespace {

using recoup::as_bytes;
using recoup::as_text;
using recoup::box;
using recoup::box_key;
using recoup::bytes;
using recoup::error;
using recoup::error_code;

bytes unhex(std::string_view text) {
  bytes result(text.size() / 2);
  EXPECT_TRUE(recoup::from_hex(text, result));
  return result;
}

/// 00 01 02 … : encrypt, mac_k and mac_r of restic.md appendix A.
box_key counting_key() {
  bytes raw(64);
  for (std::size_t i = 0; i < raw.size(); ++i) raw[i] = static_cast<std::uint8_t>(i);
  return box_key::from(raw);
}

bytes sealed_with(box& sealer, recoup::byte_view plaintext, std::string_view iv) {
  bytes out(plaintext.size() + recoup::box_overhead);
  sealer.seal_with_iv(plaintext, unhex(iv), out);
  return out;
}

template <class Action>
error_code code_of(Action action) {
  try {
    action();
  } catch (const error& problem) {
    return problem.code();
  }
  ADD_FAILURE() << "nothing was thrown";
  return error_code::failure;
}

TEST(box, known_answers) {
  box sealer(counting_key());
  const auto iv = "404142434445464748494a4b4c4d4e4f";
  EXPECT_EQ(recoup::to_hex(sealed_with(sealer, as_bytes("holdfast"), iv)),
            "404142434445464748494a4b4c4d4e4fcb11b35bf13bc99b9fb9b510607bb94729c38556e8cc7d28");
  EXPECT_EQ(recoup::to_hex(sealed_with(sealer, {}, iv)),
            "404142434445464748494a4b4c4d4e4f859469c07743c7e45b318d151d3d87e9");
}

TEST(box, the_counter_wraps_from_its_highest_value_to_zero) {
  box sealer(counting_key());
  EXPECT_EQ(recoup::to_hex(sealed_with(sealer, bytes(32, 0), "ffffffffffffffffffffffffffffffff")),
            "ffffffffffffffffffffffffffffffffe999e41d4ca770da5387117b5d8f57eef29000b62a499fd0a9f39a6add2e7780"
            "8bfb1dea706a3e3b7a2f9728e5e9ea0d");
}

TEST(box, opens_the_box_of_restics_own_test) {
  box opener(box_key::from(unhex("303e8687b1d7db18421bdc6bb8588ccadac4d59ee87b8ff70c44e635790cafef"
                                 "ef4d8824cb80b2bcc5fbff8a9b12a42ccc8d4b948ee0ebfe1d415de921d10353")));
  EXPECT_EQ(as_text(opener.open(unhex("69fb41c62d12def4593bd71757138606338f621aeaeb39da0fe4f99233f8037a54ea63338a813bcf"
                                      "3f75d8c3cc75dddf8750"))),
            "Dies ist ein Test!");
}

TEST(box, tags_are_those_of_the_poly1305_paper) {
  // Bernstein, "The Poly1305-AES message-authentication code", 2005, appendix B. A box opens exactly if the tag of its
  // ciphertext is right, so each vector is a box, whatever it decrypts to.
  const struct {
    const char *message, *r, *k, *nonce, *tag;
  } vectors[] = {
      {"f3f6", "851fc40c3467ac0be05cc20404f3f700", "ec074c835580741701425b623235add6",
       "fb447350c4e868c52ac3275cf9d4327e", "f4c633c3044fc145f84f335cb81953de"},
      {"", "a0f3080000f46400d0c7e9076c834403", "75deaa25c09f208e1dc4ce6b5cad3fbf", "61ee09218d29b0aaed7e154a2c5509cc",
       "dd3fab2251f11ac759f0887129cc2ee7"},
      {"663cea190ffb83d89593f3f476b6bc24d7e679107ea26adb8caf6652d0656136", "48443d0bb0d21109c89a100b5ce2c208",
       "6acb5f61a7176dd320c5c1eb2edcdc74", "ae212a55399729595dea458bc621ff0e", "0ee1c16bb73f0f4fd19881753c01cdbe"},
      {"ab0812724a7f1e342742cbed374d94d136c6b8795d45b3819830f2c04491faf0990c62e48b8018b2c3e4a0fa3134cb67fa83e158c994d96"
       "1"
       "c4cb21095c1bf9",
       "12976a08c4426d0ce8a82407c4f48207", "e1a5668a4d5b66a5f68cc5424ed5982d", "9ae831e743978d3a23527c7128149e3a",
       "5154ad0d2cb26e01274fc51148491f1b"},
  };
  for (const auto& vector : vectors) {
    box opener(box_key::from(unhex(std::string(64, '1') + vector.k + vector.r)));
    EXPECT_NO_THROW((void)opener.open(unhex(std::string(vector.nonce) + vector.message + vector.tag)));
  }
}

TEST(box, what_goes_in_comes_out_at_every_length) {
  box sealer(box_key::random());
  for (std::size_t length = 0; length < 600; ++length) {
    bytes plaintext(length);
    recoup::random_bytes(plaintext);
    ASSERT_EQ(sealer.open(sealer.seal(plaintext)), plaintext) << length;
  }
  bytes large((3 << 20) + 5);
  recoup::random_bytes(large);
  EXPECT_EQ(sealer.open(sealer.seal(large)), large);
}

TEST(box, any_changed_bit_is_noticed_and_the_output_stays_untouched) {
  box sealer(counting_key());
  auto sealed = sealer.seal(as_bytes("forty bytes or so of something important"));
  for (std::size_t at = 0; at < sealed.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      sealed[at] = static_cast<std::uint8_t>(sealed[at] ^ 1 << bit);
      bytes out(sealed.size() - recoup::box_overhead, 0xee);
      ASSERT_EQ(code_of([&] { sealer.open(sealed, out); }), error_code::damaged) << at;
      ASSERT_EQ(out, bytes(out.size(), 0xee));
      sealed[at] = static_cast<std::uint8_t>(sealed[at] ^ 1 << bit);
    }
  EXPECT_NO_THROW((void)sealer.open(sealed));
}

TEST(box, what_is_cut_off_or_sealed_with_another_key_does_not_open) {
  box sealer(box_key::random());
  const auto sealed = sealer.seal(as_bytes("holdfast"));
  for (std::size_t length = 0; length < sealed.size(); ++length)
    EXPECT_EQ(code_of([&] { (void)sealer.open(recoup::byte_view(sealed).first(length)); }), error_code::damaged);
  box other(box_key::random());
  EXPECT_EQ(code_of([&] { (void)other.open(sealed); }), error_code::damaged);
}

TEST(box, plaintext_may_lie_where_its_ciphertext_goes_and_the_other_way_round) {
  box sealer(counting_key());
  bytes buffer(1000 + recoup::box_overhead, 0x17);
  const auto inside = recoup::byte_span(buffer).subspan(recoup::box_iv_size, 1000);
  sealer.seal(inside, buffer);
  EXPECT_EQ(sealer.open(buffer), bytes(1000, 0x17));
  const auto plaintext = sealer.open_in_place(buffer);
  EXPECT_EQ(plaintext.data(), inside.data());
  EXPECT_EQ(bytes(plaintext.begin(), plaintext.end()), bytes(1000, 0x17));
}

TEST(box, zero_keys_and_zero_ivs_are_refused) {
  const std::string set32(64, '1'), zero32(64, '0'), set16(32, '1'), zero16(32, '0');
  for (const auto& raw : {zero32 + set16 + set16, set32 + zero16 + set16, set32 + set16 + zero16})
    EXPECT_EQ(code_of([&] { box refused(box_key::from(unhex(raw))); }), error_code::damaged);
  box sealer(counting_key());
  bytes out(recoup::box_overhead);
  EXPECT_EQ(code_of([&] { sealer.seal_with_iv({}, bytes(16, 0), out); }), error_code::failure);
}

TEST(box, wrong_sizes_are_refused) {
  box sealer(counting_key());
  bytes out(recoup::box_overhead + 4);
  EXPECT_EQ(code_of([&] { sealer.seal(as_bytes("holdfast"), out); }), error_code::invalid_argument);
  const auto sealed = sealer.seal(as_bytes("holdfast"));
  EXPECT_EQ(code_of([&] { sealer.open(sealed, out); }), error_code::invalid_argument);
  EXPECT_EQ(code_of([&] { (void)box_key::from(out); }), error_code::invalid_argument);
}

TEST(box, ivs_do_not_repeat) {
  box sealer(counting_key());
  std::set<std::string> seen;
  for (int i = 0; i < 10'000; ++i) {
    const auto sealed = sealer.seal(bytes{});
    EXPECT_TRUE(seen.emplace(as_text(recoup::byte_view(sealed).first(16))).second);
  }
}

TEST(box_key, parts_lie_in_the_order_scrypt_gives_them) {
  const auto key = counting_key();
  EXPECT_EQ(recoup::to_hex(key.encrypt()), "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
  EXPECT_EQ(recoup::to_hex(key.mac_k()), "202122232425262728292a2b2c2d2e2f");
  EXPECT_EQ(recoup::to_hex(key.mac_r()), "303132333435363738393a3b3c3d3e3f");
  EXPECT_EQ(recoup::to_hex(key.copy().raw()), recoup::to_hex(key.raw()));
  static_assert(!std::is_copy_constructible_v<box_key>, "copies of a secret are made knowingly");
}

TEST(secret_bytes, move_leaves_nothing_behind) {
  recoup::secret_bytes first(as_bytes("geheim"));
  recoup::secret_bytes second(std::move(first));
  EXPECT_EQ(as_text(second.view()), "geheim");
  EXPECT_TRUE(first.empty());  // NOLINT(bugprone-use-after-move): that it is empty is the point
  first = std::move(second);
  EXPECT_EQ(as_text(first.view()), "geheim");
  EXPECT_EQ(recoup::to_hex(recoup::secret_bytes(4).view()), "00000000");
  EXPECT_EQ(recoup::secret_bytes(0).size(), 0u);
}

TEST(box, opens_in_pieces_to_the_same) {
  box sealer(counting_key());
  for (const std::size_t size : {0, 1, 15, 16, 17, 63, 64, 65, 1000, 4096}) {
    bytes plaintext(size);
    for (std::size_t i = 0; i < size; ++i) plaintext[i] = static_cast<std::uint8_t>(i * 7);
    const auto sealed = sealer.seal(plaintext);
    for (const std::size_t piece : {16, 48, 64, 4096, 8192}) {
      bytes scratch(piece), together;
      sealer.open_in_pieces(sealed, scratch, [&](recoup::byte_view more) {
        EXPECT_LE(more.size(), piece);
        recoup::append(together, more);
      });
      EXPECT_EQ(together, plaintext) << size << " in pieces of " << piece;
    }
  }
  auto sealed = sealer.seal(bytes(100, 1));
  sealed[50] ^= 1;
  bytes scratch(16);
  EXPECT_EQ(code_of([&] { sealer.open_in_pieces(sealed, scratch, [](recoup::byte_view) { ADD_FAILURE(); }); }),
            error_code::damaged);
}

}  // namespace
