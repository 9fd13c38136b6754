// The index in memory: what it takes, what looking up and adding cost, and how fast it is loaded.
//
//   index_bench                            the benchmarks below
//   index_bench memory [JSON]              bytes per blob as malloc counts them, for three sizes of repositories
//   index_bench generate DIR BLOBS MIX     a repository with this many blobs in its index, and nothing else in it
//   index_bench load DIR                   loads that index; prints what it took as JSON. bench/index.py compares
//
// MIX is "small" (1000 blobs in a pack: files of 15 KB), "large" (11: chunks of 1.5 MB) or "mixed" (nine of ten packs as
// small, so that nearly all blobs are, and one as large). The password of a generated repository is "benchmark".
#include <recoup/repo/blob_index.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/storage/open_backend.hpp>

#include <benchmark/benchmark.h>

#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace recoup;

/// splitmix64: as good as SHA-256 for what an index sees of it, and a hundred times as fast.
std::uint64_t scrambled(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
  value = (value ^ value >> 27) * 0x94d049bb133111eb;
  return value ^ value >> 31;
}

id name_of_number(std::uint64_t number) {
  id name;
  for (std::uint64_t i = 0; i < 4; ++i) {
    const auto part = scrambled(number * 4 + i);
    std::memcpy(&name.value[i * 8], &part, sizeof part);
  }
  return name;
}

enum class mix { small, large, mixed };

/// Blobs are numbered from 0, one pack after the other.
class pack_maker {
public:
  explicit pack_maker(mix what) : mix_(what) {}

  /// The next pack, of no more than `most` blobs. The same object each time.
  const indexed_pack& next(std::uint64_t most) {
    const auto number = packs_++;
    const bool large = mix_ == mix::large || (mix_ == mix::mixed && number % 10 == 9);
    const bool trees = !large && number % 8 == 7;
    const auto count = std::min<std::uint64_t>(most, large ? 11 : 1000);
    pack_.pack = name_of_number(std::uint64_t{1} << 48 | number);
    pack_.blobs.clear();
    std::uint32_t offset = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
      packed_blob blob{{trees ? blob_type::tree : blob_type::data, name_of_number(blobs_++)}, offset, 0, 0};
      const auto plain = large ? large_length() : small_length();
      // A tenth of files and half of all big chunks are compressed already; others shrink to between a fifth and all.
      const bool compressed = random_() % 10 >= (large ? 5u : 1u);
      blob.uncompressed_length = compressed ? plain : 0;
      const auto stored = compressed ? plain * (0.2 + 0.8 * unit()) : static_cast<double>(plain);
      blob.length = static_cast<std::uint32_t>(stored) + 32;
      offset += blob.length;
      pack_.blobs.push_back(blob);
    }
    return pack_;
  }

private:
  double unit() { return static_cast<double>(random_() >> 11) * 0x1p-53; }
  /// Lengths of files spread over orders of magnitude: half are below 8 KB, the mean is 27 KB before compression.
  std::uint32_t small_length() {
    return static_cast<std::uint32_t>(std::min(std::exp(9 + 1.5 * normal_(random_)), 512.0 * 1024)) + 1;
  }
  /// What the chunker does: 512 KiB, and then a cut at each byte with a chance of 2^-20.
  std::uint32_t large_length() {
    return static_cast<std::uint32_t>(std::min(524288 - std::log(1 - unit()) * 1048576, 8388608.0));
  }

  const mix mix_;
  std::uint64_t packs_ = 0, blobs_ = 0;
  std::mt19937_64 random_{1};
  std::normal_distribution<double> normal_;
  indexed_pack pack_;
};

template <class Visit>
void for_each_made_pack(mix what, std::uint64_t blobs, Visit&& visit) {
  pack_maker maker(what);
  while (blobs > 0) {
    const auto& pack = maker.next(blobs);
    blobs -= pack.blobs.size();
    visit(pack);
  }
}

// --- memory ---

std::size_t allocated() {
  const auto info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

long peak_kib() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

int measure_memory() {
  std::printf("| blobs | packs of | malloc, B/blob | own account | most since half | packs |\n|---:|---|---:|---:|---:|---:|\n");
  {  // malloc keeps some of what was freed at hand, and counts it as in use
    blob_index index;
    for_each_made_pack(mix::small, 100'000, [&](const indexed_pack& pack) { index.add_pack(pack.pack, pack.blobs); });
  }
  for (const auto what : {mix::small, mix::mixed, mix::large})
    for (const std::uint64_t blobs : {100'000u, 1'000'000u, 10'000'000u}) {
      const auto before = allocated();
      const auto index = std::make_unique<blob_index>();
      double most = 0;  // right after growing, when least of it is used
      for_each_made_pack(what, blobs, [&](const indexed_pack& pack) {
        index->add_pack(pack.pack, pack.blobs);
        if (index->size() > blobs / 2)
          most = std::max(most, static_cast<double>(index->memory_bytes()) / static_cast<double>(index->size()));
      });
      const auto per_blob = [&](std::size_t bytes) { return static_cast<double>(bytes) / static_cast<double>(blobs); };
      const auto taken = allocated() - before;
      std::printf("| %llu | %s | %.2f | %.2f | %.2f | %zu |\n", static_cast<unsigned long long>(blobs),
                  what == mix::small ? "1000" : what == mix::large ? "11" : "1000, some of 11",
                  per_blob(taken), per_blob(index->memory_bytes()), most, index->packs().size());
    }
  return 0;
}

// --- a repository with nothing but an index ---

int generate(const std::string& directory, std::uint64_t blobs, mix what) {
  create_options choice;
  choice.kdf = scrypt_parameters{1 << 15, 8, 1};
  const auto repo = repository::create(open_backend(directory), "benchmark", choice);
  std::vector<indexed_pack> packs;
  std::size_t waiting = 0;
  const auto save = [&] {
    repo->save_unpacked(file_type::index, encode_index(packs));
    packs.clear();
    waiting = 0;
  };
  for_each_made_pack(what, blobs, [&](const indexed_pack& pack) {
    packs.push_back(pack);
    waiting += pack.blobs.size();
    if (waiting >= most_blobs_per_index_file) save();
  });
  if (waiting > 0) save();
  return 0;
}

int load(const std::string& directory) {
  const auto repo = repository::open(open_backend(directory), "benchmark");
  const auto before = peak_kib();
  const auto started = std::chrono::steady_clock::now();
  repo->load_index();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto cpu = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                   1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
  std::printf("{\"blobs\":%zu,\"seconds\":%.3f,\"cpu\":%.3f,\"index_bytes\":%zu,\"peak_before\":%ld,\"peak\":%ld}\n",
              repo->index().size(), took.count(), cpu, repo->index().memory_bytes(), before * 1024, peak_kib() * 1024);
  return 0;
}

// --- time ---

/// Kept from one benchmark to the next: filling ten million takes seconds.
const blob_index& index_of(std::uint64_t blobs) {
  static std::unique_ptr<blob_index> index;
  static std::uint64_t size = 0;
  if (size != blobs) {
    index = std::make_unique<blob_index>();
    for_each_made_pack(mix::small, blobs, [&](const indexed_pack& pack) { index->add_pack(pack.pack, pack.blobs); });
    size = blobs;
  }
  return *index;
}

blob_handle random_handle(std::uint64_t& state, std::uint64_t blobs) {
  const auto number = scrambled(++state) % blobs;
  return {number / 1000 % 8 == 7 ? blob_type::tree : blob_type::data, name_of_number(number)};
}

const blob_index* shared_index = nullptr;

template <class Look>
void look_up(benchmark::State& state, std::uint64_t first, const Look& look) {
  const auto blobs = static_cast<std::uint64_t>(state.range(0));
  if (state.thread_index() == 0) shared_index = &index_of(blobs);
  std::uint64_t seed = static_cast<std::uint64_t>(state.thread_index()) << 40;
  for (auto _ : state) {
    auto handle = random_handle(seed, blobs);
    if (first != 0) handle.id = name_of_number(first + seed);
    look(*shared_index, handle);
  }
  state.SetItemsProcessed(state.iterations());
}

void contains_known(benchmark::State& state) {
  look_up(state, 0, [](const blob_index& index, const blob_handle& handle) {
    if (!index.contains(handle)) std::abort();
  });
}
void contains_unknown(benchmark::State& state) {
  look_up(state, std::uint64_t{1} << 50, [](const blob_index& index, const blob_handle& handle) {
    if (index.contains(handle)) std::abort();
  });
}
void find(benchmark::State& state) {
  look_up(state, 0, [](const blob_index& index, const blob_handle& handle) {
    benchmark::DoNotOptimize(index.find(handle));
  });
}
void at_number(benchmark::State& state) {
  look_up(state, 0, [&](const blob_index& index, const blob_handle& handle) {
    benchmark::DoNotOptimize(index.at(load_u32_le(handle.id.value.data()) % static_cast<std::uint32_t>(state.range(0))));
  });
}
/// What making the handles of the others takes.
void nothing(benchmark::State& state) {
  look_up(state, 0, [](const blob_index&, const blob_handle& handle) { benchmark::DoNotOptimize(handle); });
}

constexpr std::int64_t million = 1'000'000;
BENCHMARK(nothing)->Arg(million)->Threads(1);
BENCHMARK(contains_known)->Arg(100'000)->Arg(million)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(contains_unknown)->Arg(100'000)->Arg(million)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(find)->Arg(100'000)->Arg(million)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(at_number)->Arg(million);
BENCHMARK(contains_known)->Arg(10 * million)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(contains_unknown)->Arg(10 * million)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(find)->Arg(10 * million)->Threads(1)->Threads(2)->UseRealTime();

/// Packs of `range(0)` blobs, a million in all, one pack at a time as in a backup.
void add_pack(benchmark::State& state) {
  const auto per_pack = static_cast<std::size_t>(state.range(0));
  std::vector<indexed_pack> packs;
  for_each_made_pack(mix::small, million, [&](const indexed_pack& pack) {
    for (std::size_t from = 0; from < pack.blobs.size(); from += per_pack) {
      auto& part = packs.emplace_back();
      part.pack = name_of_number(std::uint64_t{1} << 49 | packs.size());
      const auto begin = pack.blobs.begin() + static_cast<std::ptrdiff_t>(from);
      part.blobs.assign(begin, begin + static_cast<std::ptrdiff_t>(std::min(per_pack, pack.blobs.size() - from)));
    }
  });
  for (auto _ : state) {
    blob_index index;
    for (const auto& pack : packs) index.add_pack(pack.pack, pack.blobs);
  }
  state.SetItemsProcessed(state.iterations() * million);
}
BENCHMARK(add_pack)->Arg(10)->Arg(1000)->Unit(benchmark::kMillisecond);

/// A full index file as one batch of the loading, into an index that knows how much is to come.
void add_packs(benchmark::State& state) {
  std::vector<std::vector<indexed_pack>> files;
  for_each_made_pack(mix::small, million, [&](const indexed_pack& pack) {
    if (files.empty() || files.back().size() == 50) files.emplace_back();
    files.back().push_back(pack);
  });
  for (auto _ : state) {
    blob_index index;
    for (const auto& file : files) index.add_packs(file, million);
  }
  state.SetItemsProcessed(state.iterations() * million);
}
BENCHMARK(add_packs)->Unit(benchmark::kMillisecond);

void decode(benchmark::State& state) {
  std::vector<indexed_pack> packs;
  for_each_made_pack(mix::small, most_blobs_per_index_file, [&](const indexed_pack& pack) { packs.push_back(pack); });
  const auto json = encode_index(packs);
  for (auto _ : state) decode_index(as_bytes(json), [](const indexed_pack& pack) { benchmark::DoNotOptimize(pack.pack); });
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(most_blobs_per_index_file));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(json.size()));
}
BENCHMARK(decode)->Unit(benchmark::kMillisecond);

}  // namespace

int main(int argc, char** argv) {
  const auto is = [&](const char* word, int count) { return argc == count && std::string_view(argv[1]) == word; };
  if (is("memory", 2)) return measure_memory();
  if (is("load", 3)) return load(argv[2]);
  if (is("generate", 5)) {
    const std::string_view what = argv[4];
    return generate(argv[2], std::stoull(argv[3]),
                    what == "large" ? mix::large : what == "mixed" ? mix::mixed : mix::small);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
