// Every kernel, with every number of lanes, against OpenSSL's EVP.
#include <recoup/hash/sha256.hpp>

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace {

using recoup::byte_view;
using recoup::bytes;
using recoup::id;
using recoup::sha256_job;
using recoup::sha256_kernel_entry;
using recoup::sha256_state;

id evp(byte_view content) {
  id result;
  EXPECT_EQ(::EVP_Digest(content.data(), content.size(), result.value.data(), nullptr, ::EVP_sha256(), nullptr), 1);
  return result;
}

/// Each kernel that runs here, with its own number of lanes and with fewer. Those that take one at a time can take
/// more, one after the other.
std::vector<sha256_kernel_entry> all_kernels() {
  std::vector<sha256_kernel_entry> all;
  for (const auto& entry : recoup::sha256_kernels) {
    if (!entry.runs_here()) continue;
    const auto most = entry.lanes == 1 ? std::size_t{4} : entry.lanes;
    for (std::size_t lanes = 1; lanes <= most; ++lanes) {
      all.push_back(entry);
      all.back().lanes = lanes;
    }
  }
  return all;
}

class sha256_lanes : public testing::TestWithParam<sha256_kernel_entry> {
protected:
  static void run(std::span<const sha256_job> jobs) {
    recoup::sha256_run(GetParam(), jobs.size(), [jobs](std::size_t i) { return jobs[i]; });
  }

  std::size_t below(std::size_t limit) { return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_); }

  bytes noise(std::size_t size) {
    bytes data(size);
    for (auto& byte : data) byte = static_cast<std::uint8_t>(random_());
    return data;
  }

  /// Mostly short, now and then long beside short.
  std::size_t some_length() {
    const auto kind = below(40);
    return kind == 0 ? below(200'000) : kind < 4 ? below(3'000) : below(301);
  }

  std::mt19937 random_{7};
};

INSTANTIATE_TEST_SUITE_P(kernels, sha256_lanes, testing::ValuesIn(all_kernels()), [](const auto& each) {
  auto name = std::string(each.param.name) + "_" + std::to_string(each.param.lanes);
  std::ranges::replace(name, '-', '_');
  return name;
});

TEST_P(sha256_lanes, known_answers) {
  // FIPS 180-4's examples, and NIST's million.
  const std::string million(1'000'000, 'a');
  const std::pair<std::string_view, std::string_view> known[] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmno"
       "ijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
       "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
      {million, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
  };
  std::array<id, std::size(known)> names;
  std::vector<sha256_job> jobs;
  for (std::size_t i = 0; i < std::size(known); ++i)
    jobs.push_back({.data = recoup::as_bytes(known[i].first), .name = &names[i]});
  run(jobs);
  for (std::size_t i = 0; i < std::size(known); ++i) EXPECT_EQ(names[i].hex(), known[i].second);
}

TEST_P(sha256_lanes, every_short_length_alone_and_beside_others) {
  const auto data = noise(700);
  std::vector<sha256_job> jobs;
  std::vector<id> names(601);
  for (std::size_t length = 0; length <= 600; ++length) {
    jobs.push_back({.data = byte_view(data).subspan(length % 64, length), .name = &names[length]});
    run({&jobs.back(), 1});
    ASSERT_EQ(names[length], evp(jobs.back().data)) << length;
    names[length] = {};
  }
  run(jobs);
  for (std::size_t length = 0; length <= 600; ++length) ASSERT_EQ(names[length], evp(jobs[length].data)) << length;
}

TEST_P(sha256_lanes, any_set_of_lengths) {
  const auto data = noise(200'100);
  for (int round = 0; round < 150; ++round) {
    std::vector<id> names(below(41));
    std::vector<sha256_job> jobs;
    for (auto& name : names)
      jobs.push_back({.data = byte_view(data).subspan(below(100), some_length()), .name = &name});
    run(jobs);
    for (std::size_t i = 0; i < jobs.size(); ++i)
      ASSERT_EQ(names[i], evp(jobs[i].data)) << "job " << i << " of " << jobs.size() << ", " << jobs[i].data.size();
  }
}

TEST_P(sha256_lanes, a_long_one_anywhere_among_short_ones) {
  const auto data = noise(3 << 20);
  for (std::size_t place = 0; place < 7; ++place) {
    std::array<id, 7> names;
    std::vector<sha256_job> jobs;
    for (std::size_t i = 0; i < 7; ++i)
      jobs.push_back({.data = byte_view(data).first(i == place ? data.size() : 100 + i), .name = &names[i]});
    run(jobs);
    for (std::size_t i = 0; i < 7; ++i) ASSERT_EQ(names[i], evp(jobs[i].data)) << place << " " << i;
  }
}

// The kernel may be asked for no more than this many blocks per lane: then no lane was idle that could have worked.
TEST_P(sha256_lanes, the_work_is_spread_evenly) {
  static std::uint64_t taken;
  static sha256_kernel_entry counted;
  counted = GetParam();
  auto counting = counted;
  counting.function = [](recoup::sha256_lane* const* lanes, std::size_t count, std::size_t blocks) {
    ASSERT_GE(count, 1u);
    ASSERT_LE(count, counted.lanes);
    ASSERT_GE(blocks, 1u);
    taken += blocks;
    counted.function(lanes, count, blocks);
  };
  const auto data = noise(200'000);
  for (int round = 0; round < 150; ++round) {
    std::vector<id> names(below(41));
    std::vector<sha256_job> jobs;
    std::uint64_t sum = 0, longest = 0;
    for (auto& name : names) {
      jobs.push_back({.data = byte_view(data).first(some_length()), .name = &name});
      const std::uint64_t blocks = (jobs.back().data.size() + 9 + 63) / 64;
      sum += blocks;
      longest = std::max(longest, blocks);
    }
    taken = 0;
    recoup::sha256_run(counting, jobs.size(), [&jobs](std::size_t i) { return jobs[i]; });
    ASSERT_EQ(taken, std::max(longest, (sum + counted.lanes - 1) / counted.lanes));
    for (std::size_t i = 0; i < jobs.size(); ++i) ASSERT_EQ(names[i], evp(jobs[i].data));
  }
}

TEST_P(sha256_lanes, states_go_on_in_any_pieces_beside_any_others) {
  struct message {
    sha256_state state;
    bytes so_far;
    bytes piece;
    id name;
    bool ends;
  };
  std::vector<message> messages(12);
  for (int round = 0; round < 300; ++round) {
    std::vector<sha256_job> jobs;
    std::vector<message*> working;
    for (auto& each : messages) {
      if (below(3) == 0) continue;
      each.piece = noise(some_length());
      recoup::append(each.so_far, each.piece);
      each.ends = below(6) == 0;
      jobs.push_back({&each.state, each.piece, each.ends ? &each.name : nullptr});
      working.push_back(&each);
    }
    // And one that has no state.
    const auto whole = noise(some_length());
    id name;
    jobs.push_back({.data = whole, .name = &name});
    std::swap(jobs.back(), jobs[below(jobs.size())]);
    run(jobs);
    ASSERT_EQ(name, evp(whole));
    for (auto* each : working) {
      ASSERT_EQ(each->state.length, each->ends ? 0 : each->so_far.size());
      if (!each->ends) continue;
      ASSERT_EQ(each->name, evp(each->so_far)) << each->so_far.size();
      each->so_far.clear();
    }
  }
}

TEST_P(sha256_lanes, a_copy_goes_on_by_itself) {
  const auto data = noise(1000);
  for (std::size_t cut = 0; cut <= 200; ++cut) {
    sha256_state first;
    const sha256_job begin[] = {{.state = &first, .data = byte_view(data).first(cut)}};
    run(begin);
    auto second = first;
    std::array<id, 2> names;
    const sha256_job end[] = {{&first, byte_view(data).subspan(cut, 300), &names[0]},
                              {&second, byte_view(data).subspan(cut + 1, 700), &names[1]}};
    run(end);
    bytes other(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(cut));
    recoup::append(other, byte_view(data).subspan(cut + 1, 700));
    ASSERT_EQ(names[0], evp(byte_view(data).first(cut + 300)));
    ASSERT_EQ(names[1], evp(other));
  }
}

// OpenSSL's old interface takes a chaining value and a length, so nobody has to hash 2^61 bytes.
TEST_P(sha256_lanes, lengths_that_need_all_64_bits) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  const auto data = noise(400);
  for (unsigned power = 6; power <= 60; ++power)
    for (const std::uint64_t earlier : {std::uint64_t{1} << power, (std::uint64_t{1} << power) - 64}) {
      std::vector<sha256_state> states(5);
      std::vector<id> names(states.size());
      std::vector<sha256_job> jobs;
      std::vector<id> expected(states.size());
      for (std::size_t i = 0; i < states.size(); ++i) {
        for (auto& word : states[i].words) word = static_cast<std::uint32_t>(random_());
        states[i].length = earlier;
        jobs.push_back({&states[i], byte_view(data).first(below(400)), &names[i]});
        SHA256_CTX context;
        ::SHA256_Init(&context);
        std::ranges::copy(states[i].words, context.h);
        context.Nl = static_cast<SHA_LONG>(earlier << 3);
        context.Nh = static_cast<SHA_LONG>(earlier >> 29);
        ::SHA256_Update(&context, jobs[i].data.data(), jobs[i].data.size());
        ::SHA256_Final(expected[i].value.data(), &context);
      }
      run(jobs);
      ASSERT_EQ(names, expected) << earlier;
    }
#pragma GCC diagnostic pop
}

/// Memory between two pages that nobody may touch.
class guarded_memory {
public:
  explicit guarded_memory(std::size_t pages) : size_(pages * page()) {
    void* const all = ::mmap(nullptr, size_ + 2 * page(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) throw std::bad_alloc();
    first_ = static_cast<std::uint8_t*>(all) + page();
    if (::mprotect(first_, size_, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
  }
  guarded_memory(const guarded_memory&) = delete;
  guarded_memory& operator=(const guarded_memory&) = delete;
  ~guarded_memory() { ::munmap(first_ - page(), size_ + 2 * page()); }

  [[nodiscard]] recoup::byte_span all() const { return {first_, size_}; }

private:
  static std::size_t page() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

  std::size_t size_;
  std::uint8_t* first_;
};

TEST_P(sha256_lanes, nothing_beside_the_data_is_read) {
  const guarded_memory memory(2);
  for (auto& byte : memory.all()) byte = static_cast<std::uint8_t>(random_());
  for (std::size_t length = 0; length <= 400; ++length) {
    const byte_view inputs[] = {memory.all().last(length), memory.all().first(length), memory.all().last(length / 2),
                                memory.all().last(length)};
    std::array<id, std::size(inputs)> names;
    std::array<sha256_state, std::size(inputs)> states;
    std::vector<sha256_job> jobs;
    for (std::size_t i = 0; i < std::size(inputs); ++i) jobs.push_back({&states[i], inputs[i], nullptr});
    run(jobs);
    for (std::size_t i = 0; i < std::size(inputs); ++i) jobs[i] = {&states[i], {}, &names[i]};
    run(jobs);
    for (std::size_t i = 0; i < std::size(inputs); ++i) ASSERT_EQ(names[i], evp(inputs[i]));
    for (std::size_t i = 0; i < std::size(inputs); ++i) jobs[i] = {nullptr, inputs[i], &names[i]};
    std::ranges::fill(names, id{});
    run(jobs);
    for (std::size_t i = 0; i < std::size(inputs); ++i) ASSERT_EQ(names[i], evp(inputs[i]));
  }
}

// The chaining values go in and come out as they are: what a kernel of any number of lanes owes the others.
TEST_P(sha256_lanes, kernels_agree_about_blocks) {
  const auto data = noise(64 * 40);
  for (std::size_t count = 1; count <= GetParam().lanes; ++count)
    for (std::size_t blocks = 1; blocks <= 5; ++blocks) {
      std::array<recoup::sha256_lane, recoup::sha256_most_lanes> ours, theirs;
      std::array<recoup::sha256_lane*, recoup::sha256_most_lanes> our_places, their_places;
      for (std::size_t i = 0; i < count; ++i) {
        for (auto& word : ours[i].words) word = static_cast<std::uint32_t>(random_());
        ours[i].data = data.data() + below(64);
        theirs[i] = ours[i];
        our_places[i] = &ours[i];
        their_places[i] = &theirs[i];
      }
      GetParam().function(our_places.data(), count, blocks);
      recoup::sha256_reference(their_places.data(), count, blocks);
      for (std::size_t i = 0; i < count; ++i) {
        ASSERT_EQ(ours[i].words, theirs[i].words);
        ASSERT_EQ(ours[i].data, theirs[i].data);
      }
    }
}

TEST(sha256_many, names_each_input) {
  const bytes data(5000, 0x5a);
  std::vector<byte_view> inputs;
  for (std::size_t i = 0; i < 50; ++i) inputs.push_back(byte_view(data).first(i * i));
  std::vector<id> names(inputs.size());
  recoup::sha256_many(inputs, names);
  for (std::size_t i = 0; i < inputs.size(); ++i) EXPECT_EQ(names[i], evp(inputs[i]));
  recoup::sha256_many({}, {});
  EXPECT_THROW(recoup::sha256_many(inputs, std::span(names).first(3)), recoup::error);
}

TEST(sha256_finish, names_each_state_which_begins_anew) {
  const bytes data(5000, 0x5a);
  std::vector<sha256_state> states(20);
  std::vector<sha256_job> jobs;
  for (std::size_t i = 0; i < states.size(); ++i) jobs.push_back({&states[i], byte_view(data).first(i * 13), nullptr});
  jobs.push_back({});  // nothing to do, nothing to say
  recoup::sha256_update(jobs);
  std::vector<id> names(states.size());
  recoup::sha256_finish(states, names);
  for (std::size_t i = 0; i < states.size(); ++i) EXPECT_EQ(names[i], evp(byte_view(data).first(i * 13)));
  recoup::sha256_finish(states, names);
  for (const auto& name : names) EXPECT_EQ(name, evp({}));
  EXPECT_THROW(recoup::sha256_finish(states, std::span(names).first(3)), recoup::error);
}

TEST(sha256_stream, may_take_part_in_an_update) {
  recoup::sha256_stream pack;
  pack.update(recoup::as_bytes("one "));
  id chunk;
  const sha256_job jobs[] = {{&pack.state(), recoup::as_bytes("two "), nullptr},
                             {nullptr, recoup::as_bytes("abc"), &chunk}};
  recoup::sha256_update(jobs);
  pack.update(recoup::as_bytes("three"));
  EXPECT_EQ(pack.finish(), evp(recoup::as_bytes("one two three")));
  EXPECT_EQ(chunk, evp(recoup::as_bytes("abc")));
}

// The bit length leaves 32 bits at 512 MiB.
TEST(sha256_stream, more_than_512_mib) {
  const bytes data((1 << 20) + 1, 0x77);
  recoup::sha256_stream ours;
  EVP_MD_CTX* const theirs = ::EVP_MD_CTX_new();
  ::EVP_DigestInit_ex(theirs, ::EVP_sha256(), nullptr);
  for (int i = 0; i < 513; ++i) {
    ours.update(data);
    ::EVP_DigestUpdate(theirs, data.data(), data.size());
  }
  id expected;
  ::EVP_DigestFinal_ex(theirs, expected.value.data(), nullptr);
  ::EVP_MD_CTX_free(theirs);
  EXPECT_EQ(ours.finish(), expected);
}

TEST(sha256_kernels, are_chosen_by_name_or_by_speed) {
  std::set<std::string_view> names;
  const sha256_kernel_entry* fastest = nullptr;
  for (const auto& entry : recoup::sha256_kernels) {
    EXPECT_TRUE(names.insert(entry.name).second) << entry.name;
    EXPECT_GE(entry.lanes, 1u);
    EXPECT_LE(entry.lanes, recoup::sha256_most_lanes);
    if (!entry.runs_here()) {
      EXPECT_THROW((void)recoup::choose_sha256_kernel(std::string(entry.name).c_str()), recoup::error);
      continue;
    }
    fastest = &entry;
    EXPECT_EQ(&recoup::choose_sha256_kernel(std::string(entry.name).c_str()), &entry);
  }
  EXPECT_EQ(&recoup::choose_sha256_kernel(nullptr), fastest);
  EXPECT_EQ(&recoup::choose_sha256_kernel(""), fastest);
  try {
    (void)recoup::choose_sha256_kernel("sha-nigh");
    FAIL();
  } catch (const recoup::error& problem) {
    EXPECT_EQ(problem.code(), recoup::error_code::invalid_argument);
    const std::string_view text = problem.what();
    EXPECT_NE(text.find("RECOUP_SHA256_KERNEL=sha-nigh: "), text.npos) << text;
    EXPECT_NE(text.find("reference"), text.npos) << text;
  }
}

// GoogleTest runs suites with this ending first: the choice is made once for a process, and has not been made yet when these
// fork. (Starting the program anew instead would fail in an emulator.)
TEST(sha256_environment_DeathTest, names_a_kernel) {
  const auto value = [](const char* kernel) {
    ::setenv("RECOUP_SHA256_KERNEL", kernel, 1);
    try {
      ::_exit(recoup::best_sha256_kernel_entry().name == std::string_view(kernel) && recoup::sha256({}) == evp({}) ? 0
                                                                                                                  : 1);
    } catch (const recoup::error&) {
      ::_exit(2);
    }
  };
  EXPECT_EXIT(value("reference"), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(value("none of them"), testing::ExitedWithCode(2), "");
}

}  // namespace
