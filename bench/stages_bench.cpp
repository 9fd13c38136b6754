// What one core does in each stage of a backup or a restore, with memcpy as the limit of all that touches every byte.
//
//   build/release/bench/stages_bench [--benchmark_filter=zstd]
//
// Searching for cuts has a benchmark of its own (bench/chunker). bytes_per_second counts what goes in where something is made, what
// comes out where something is read; items_per_second counts blobs of an index, nodes of a tree.
#include <recoup/compress/zstd.hpp>
#include <recoup/crypto/box.hpp>
#include <recoup/crypto/key_derivation.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/repo/blob_codec.hpp>
#include <recoup/repo/index_file.hpp>
#include <recoup/repo/pack_builder.hpp>
#include <recoup/repo/tree.hpp>
#include <recoup/storage/memory.hpp>

#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using recoup::bytes;
using recoup::byte_view;

/// A chunk of restic's mean size, and what a small file is.
constexpr std::int64_t chunk_size = 1536 << 10, small_size = 16 << 10;

bytes noise(std::size_t size) {
  std::mt19937_64 random(1);
  bytes data(size);
  for (auto& byte : data) byte = static_cast<std::uint8_t>(random());
  return data;
}

/// Words in random order: compresses about as source text does.
bytes text(std::size_t size) {
  std::mt19937_64 random(2);
  std::string words[4000];
  for (auto& word : words)
    for (auto length = 2 + random() % 9; length > 0; --length) word.push_back(static_cast<char>('a' + random() % 26));
  bytes data;
  data.reserve(size + 16);
  while (data.size() < size) {
    // Squaring prefers the front, as language prefers few words.
    const auto rank = (random() % 4000) * (random() % 4000) / 4000;
    recoup::append(data, recoup::as_bytes(words[rank]));
    data.push_back(' ');
  }
  data.resize(size);
  return data;
}

recoup::id random_id(std::mt19937_64& random) {
  recoup::id name;
  for (auto& byte : name.value) byte = static_cast<std::uint8_t>(random());
  return name;
}

void count_bytes(benchmark::State& state, std::size_t each) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(each));
}

void count_items(benchmark::State& state, std::size_t each) {
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(each));
}

// ---- bytes of a blob ------------------------------------------------------------------------------------------------

void memory_copy(benchmark::State& state) {
  const auto data = noise(static_cast<std::size_t>(state.range(0)));
  bytes copy(data.size());
  for (auto _ : state) {
    std::memcpy(copy.data(), data.data(), data.size());
    benchmark::ClobberMemory();
  }
  count_bytes(state, data.size());
}
BENCHMARK(memory_copy)->Name("memcpy")->Arg(small_size)->Arg(chunk_size)->Arg(64 << 20);

void hash(benchmark::State& state) {
  const auto data = noise(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(recoup::sha256(data));
  count_bytes(state, data.size());
}
BENCHMARK(hash)->Arg(64)->Arg(1024)->Arg(small_size)->Arg(chunk_size);

void compress(benchmark::State& state, recoup::compression mode, bool random) {
  const auto data = random ? noise(chunk_size) : text(chunk_size);
  recoup::compressor forth(mode);
  bytes frame;
  for (auto _ : state) forth.compress(data, frame);
  count_bytes(state, data.size());
  state.counters["ratio"] = static_cast<double>(data.size()) / static_cast<double>(frame.size());
}

void decompress(benchmark::State& state, bool random) {
  bytes data = random ? noise(chunk_size) : text(chunk_size);
  const auto frame = recoup::compressor().compress(data);
  recoup::decompressor back;
  for (auto _ : state) back.decompress(frame, data);
  count_bytes(state, data.size());
}
BENCHMARK_CAPTURE(decompress, text, false);
BENCHMARK_CAPTURE(decompress, noise, true);

void seal(benchmark::State& state) {
  const auto data = noise(static_cast<std::size_t>(state.range(0)));
  bytes sealed(data.size() + recoup::box_overhead);
  recoup::box sealer(recoup::box_key::random());
  for (auto _ : state) sealer.seal(data, sealed);
  count_bytes(state, data.size());
}
BENCHMARK(seal)->Arg(1024)->Arg(small_size)->Arg(chunk_size);

void open(benchmark::State& state) {
  bytes data = noise(static_cast<std::size_t>(state.range(0)));
  recoup::box opener(recoup::box_key::random());
  const auto sealed = opener.seal(data);
  for (auto _ : state) opener.open(sealed, data);
  count_bytes(state, data.size());
}
BENCHMARK(open)->Arg(1024)->Arg(small_size)->Arg(chunk_size);

/// What a backup does with each blob that it has sealed: open it again, decompress, compare.
void verify(benchmark::State& state, bool random) {
  const auto data = random ? noise(chunk_size) : text(chunk_size);
  recoup::blob_codec codec(recoup::box_key::random(), {});
  bytes sealed;
  const auto length = codec.seal({recoup::blob_type::data, recoup::sha256(data)}, {data}, sealed);
  for (auto _ : state)
    if (!codec.opens_to(sealed, length, data)) state.SkipWithError("what was sealed does not open");
  count_bytes(state, data.size());
}
BENCHMARK_CAPTURE(verify, text, false);
BENCHMARK_CAPTURE(verify, noise, true);

// ---- packs, index, trees --------------------------------------------------------------------------------------------

/// A pack of 16 MiB from sealed blobs, and the hash that is its name.
void pack(benchmark::State& state) {
  constexpr std::size_t target = std::size_t{16} << 20;
  std::mt19937_64 random(3);
  const auto blob = noise(static_cast<std::size_t>(state.range(0)));
  const recoup::blob_handle handle{recoup::blob_type::data, random_id(random)};
  recoup::box sealer(recoup::box_key::random());
  recoup::memory_backend storage;
  bytes memory;
  memory.reserve(target + blob.size() + (1 << 20));
  std::size_t size = 0;
  for (auto _ : state) {
    recoup::pack_builder builder(storage.begin(recoup::file_type::pack, std::move(memory)));
    while (!builder.is_full(target)) builder.add(handle, blob, 0);
    builder.finish(sealer);
    benchmark::DoNotOptimize(builder.name());
    size = builder.size();
    memory = builder.take_memory();
  }
  count_bytes(state, size);
}
BENCHMARK(pack)->Arg(1024)->Arg(small_size)->Arg(chunk_size)->Unit(benchmark::kMillisecond);

/// As many blobs as one index file has, in packs of `blobs_per_pack`.
std::vector<recoup::indexed_pack> made_packs(std::size_t blobs_per_pack) {
  std::mt19937_64 random(4);
  std::vector<recoup::indexed_pack> packs;
  for (std::size_t made = 0; made < recoup::most_blobs_per_index_file; ++made) {
    if (made % blobs_per_pack == 0) packs.push_back({random_id(random), {}});
    const auto number = static_cast<std::uint32_t>(made % blobs_per_pack);
    packs.back().blobs.push_back({{recoup::blob_type::data, random_id(random)}, number * 5000, 5000, 12'000});
  }
  return packs;
}

void index_encode(benchmark::State& state) {
  const auto packs = made_packs(static_cast<std::size_t>(state.range(0)));
  std::size_t size = 0;
  for (auto _ : state) size = recoup::encode_index(packs).size();
  count_bytes(state, size);
  count_items(state, recoup::most_blobs_per_index_file);
}
BENCHMARK(index_encode)->ArgName("blobs_per_pack")->Arg(11)->Arg(1000)->Unit(benchmark::kMillisecond);

void index_decode(benchmark::State& state) {
  const auto json = recoup::encode_index(made_packs(static_cast<std::size_t>(state.range(0))));
  for (auto _ : state)
    recoup::decode_index(recoup::as_bytes(json),
                         [](const recoup::indexed_pack& entry) { benchmark::DoNotOptimize(entry.blobs.data()); });
  count_bytes(state, json.size());
  count_items(state, recoup::most_blobs_per_index_file);
}
BENCHMARK(index_decode)->ArgName("blobs_per_pack")->Arg(11)->Arg(1000)->Unit(benchmark::kMillisecond);

/// A directory of so many files of one chunk each.
std::vector<recoup::node> made_nodes(std::size_t count) {
  std::mt19937_64 random(5);
  std::vector<recoup::node> nodes(count);
  for (std::size_t number = 0; number < count; ++number) {
    auto& file = nodes[number];
    file.name = "file-" + std::to_string(1'000'000 + number) + ".txt";
    file.mode = 0644;
    file.mtime = file.atime = file.ctime = {1'700'000'000 + static_cast<std::int64_t>(random() % 10'000'000),
                                            static_cast<std::int32_t>(random() % 1'000'000'000), 0};
    file.uid = file.gid = 1000;
    file.user = file.group = "somebody";
    file.inode = random() % 10'000'000;
    file.device_id = 64769;
    file.size = random() % 100'000;
    file.links = 1;
    file.content.emplace({random_id(random)});
  }
  return nodes;
}

void tree_encode(benchmark::State& state) {
  const auto nodes = made_nodes(static_cast<std::size_t>(state.range(0)));
  recoup::tree_writer writer;
  std::size_t size = 0;
  for (auto _ : state) {
    for (const auto& entry : nodes) writer.add(entry);
    size = writer.finish_view().size();
  }
  count_bytes(state, size);
  count_items(state, nodes.size());
}
BENCHMARK(tree_encode)->ArgName("nodes")->Arg(8)->Arg(1000);

void tree_decode(benchmark::State& state) {
  recoup::tree_writer writer;
  for (const auto& entry : made_nodes(static_cast<std::size_t>(state.range(0)))) writer.add(entry);
  const auto json = writer.finish();
  for (auto _ : state) recoup::decode_tree(json, [](recoup::node& entry) { benchmark::DoNotOptimize(entry.size); });
  count_bytes(state, json.size());
  count_items(state, static_cast<std::size_t>(state.range(0)));
}
BENCHMARK(tree_decode)->ArgName("nodes")->Arg(8)->Arg(1000);

/// What every command pays once: N = 32768, r = 8, and p between what a fast and a slow machine chose.
void derive_key(benchmark::State& state) {
  const bytes salt(64, 1);
  const recoup::scrypt_parameters parameters{32768, 8, static_cast<std::uint32_t>(state.range(0))};
  for (auto _ : state) benchmark::DoNotOptimize(recoup::derive_key("geheim", salt, parameters).raw().data());
}
BENCHMARK(derive_key)->ArgName("p")->Arg(1)->Arg(8)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace

int main(int argc, char** argv) {
  using recoup::compression;
  for (const auto mode : {compression::fastest, compression::automatic, compression::better, compression::max})
    for (const bool random : {false, true})
      benchmark::RegisterBenchmark(
          ("compress/" + std::string(name_of(mode)) + (random ? "/noise" : "/text")).c_str(), compress, mode, random);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
