// What one core does with the bytes of a backup: hashing, sealing, compressing. chunker/ has the search for cuts.
#include <recoup/compress/zstd.hpp>
#include <recoup/crypto/box.hpp>
#include <recoup/crypto/key_derivation.hpp>
#include <recoup/hash/sha256.hpp>

#include <benchmark/benchmark.h>

#include <cstdint>
#include <random>
#include <string>
#include <string_view>

namespace {

using recoup::bytes;

constexpr std::int64_t blob_size = 1536 << 10;

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

void count_bytes(benchmark::State& state, std::size_t each) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(each));
}

void sha256(benchmark::State& state) {
  const auto data = noise(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(recoup::sha256(data));
  count_bytes(state, data.size());
}
BENCHMARK(sha256)->Arg(64)->Arg(1024)->Arg(16 << 10)->Arg(blob_size);

void box_seal(benchmark::State& state) {
  const auto data = noise(static_cast<std::size_t>(state.range(0)));
  bytes sealed(data.size() + recoup::box_overhead);
  recoup::box sealer(recoup::box_key::random());
  for (auto _ : state) sealer.seal(data, sealed);
  count_bytes(state, data.size());
}
BENCHMARK(box_seal)->Arg(1024)->Arg(16 << 10)->Arg(blob_size);

void box_open(benchmark::State& state) {
  bytes data = noise(static_cast<std::size_t>(state.range(0)));
  recoup::box opener(recoup::box_key::random());
  const auto sealed = opener.seal(data);
  for (auto _ : state) opener.open(sealed, data);
  count_bytes(state, data.size());
}
BENCHMARK(box_open)->Arg(1024)->Arg(16 << 10)->Arg(blob_size);

void zstd_compress(benchmark::State& state, recoup::compression mode, bool random) {
  const auto data = random ? noise(blob_size) : text(blob_size);
  recoup::compressor forth(mode);
  bytes frame;
  for (auto _ : state) forth.compress(data, frame);
  count_bytes(state, data.size());
  state.counters["ratio"] = static_cast<double>(data.size()) / static_cast<double>(frame.size());
}

void zstd_decompress(benchmark::State& state) {
  bytes data = text(blob_size);
  const auto frame = recoup::compressor().compress(data);
  recoup::decompressor back;
  for (auto _ : state) back.decompress(frame, data);
  count_bytes(state, data.size());
}
BENCHMARK(zstd_decompress);

void derive_key(benchmark::State& state) {
  const bytes salt(64, 1);
  const recoup::scrypt_parameters parameters{32768, 8, static_cast<std::uint32_t>(state.range(0))};
  for (auto _ : state) benchmark::DoNotOptimize(recoup::derive_key("geheim", salt, parameters).raw().data());
}
BENCHMARK(derive_key)->Arg(1)->Arg(8)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace

int main(int argc, char** argv) {
  using recoup::compression;
  for (const auto mode : {compression::fastest, compression::automatic, compression::better, compression::max})
    for (const bool random : {false, true})
      benchmark::RegisterBenchmark(
          ("zstd_compress/" + std::string(name_of(mode)) + (random ? "/noise" : "/text")).c_str(), zstd_compress, mode,
          random);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
