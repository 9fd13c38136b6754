#include <recoup/hash/sha256.hpp>

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

using recoup::as_bytes;
using recoup::sha256;

TEST(sha256, known_answers) {
  // FIPS 180-4, and restic.md appendix A.
  EXPECT_EQ(sha256({}).hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256(as_bytes("abc")).hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")).hex(),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256(as_bytes(std::string(1'000'000, 'a'))).hex(),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  EXPECT_EQ(sha256(as_bytes("holdfast")).hex(), "d1580d2df7f24b6f5e2a861eba2918755c3a7246b7068817e349d8adc66a8566");
  EXPECT_EQ(sha256(as_bytes("{\"nodes\":[]}\n")).hex(),
            "ac08ce34ba4f8123618661bef2425f7028ffb9ac740578a3ee88684d2523fee8");
}

TEST(sha256, pieces_make_the_same_hash_as_the_whole) {
  std::mt19937 random(3);
  recoup::bytes data(100'000);
  for (auto& byte : data) byte = static_cast<std::uint8_t>(random());
  const auto whole = sha256(data);
  recoup::sha256_stream stream;
  for (int round = 0; round < 20; ++round) {
    recoup::byte_view rest(data);
    while (!rest.empty()) {
      const auto length = std::min<std::size_t>(rest.size(), random() % 5000);
      stream.update(rest.first(length));
      rest = rest.subspan(length);
    }
    ASSERT_EQ(stream.finish(), whole);
  }
}

TEST(sha256, a_stream_begins_anew_after_finish_and_restart) {
  recoup::sha256_stream stream;
  stream.update(as_bytes("abc"));
  const auto first = stream.finish();
  EXPECT_EQ(stream.finish(), sha256({}));
  stream.update(as_bytes("something else"));
  stream.restart();
  stream.update(as_bytes("abc"));
  EXPECT_EQ(stream.finish(), first);
}

TEST(sha256, threads_do_not_disturb_each_other) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([i] {
      const std::string content(static_cast<std::size_t>(i) * 1000, static_cast<char>('a' + i));
      recoup::sha256_stream own;
      own.update(as_bytes(content));
      const auto expected = own.finish();
      for (int round = 0; round < 500; ++round) ASSERT_EQ(sha256(as_bytes(content)), expected);
    });
  for (auto& thread : threads) thread.join();
}

}  // namespace
