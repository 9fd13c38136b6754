// Every file of the repositories that restic and rustic wrote: opened, decoded, encoded again. What restic wrote must
// come out with the same bytes, but for what its oldest versions did differently.
#include <recoup/compress/zstd.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/repo/config.hpp>
#include <recoup/repo/index_file.hpp>
#include <recoup/repo/key_file.hpp>
#include <recoup/repo/pack_header.hpp>
#include <recoup/repo/snapshot.hpp>
#include <recoup/repo/tree.hpp>
#include <recoup/repo/unpacked.hpp>

#include <cstdlib>
#include <functional>

#include "test_data.hpp"
#include "unique_directory.hpp"

namespace recoup {
namespace {

namespace fs = std::filesystem;

struct fixture {
  const char* archive;
  const char* password;
  int snapshots, trees;
  bool by_restic;  ///< and so with trees that are the same again
};

std::ostream& operator<<(std::ostream& to, const fixture& of) { return to << of.archive; }

class fixture_repository : public needs_fixtures<testing::TestWithParam<fixture>> {
protected:
  void SetUp() override {
    needs_fixtures::SetUp();
    if (IsSkipped()) return;
    const auto archive = fixtures() / GetParam().archive;
    const auto command = "tar -xzf '" + archive.string() + "' -C '" + directory_.path().string() + "'";
    ASSERT_EQ(std::system(command.c_str()), 0);
    repository_ = directory_.path() / "repo";
    opener_.emplace(master_key());
  }

  box_key master_key() {
    for (const auto& file : fs::directory_iterator(repository_ / "keys")) {
      const auto json = read_file(file.path());
      EXPECT_EQ(sha256(as_bytes(json)).hex(), file.path().filename());
      const auto key = decode_key_file(as_bytes(json));
      if (GetParam().by_restic) {
        EXPECT_EQ(encode_key_file(key), json);
      }
      const auto plaintext = box(derive_key(GetParam().password, key.salt, key.kdf)).open(key.data);
      auto master = decode_master_key(plaintext);
      EXPECT_EQ(as_text(encode_master_key(master).view()), as_text(plaintext));
      return master;
    }
    throw std::runtime_error("no key");
  }

  /// Calls `visit` with the JSON of each file of a kind.
  int each(const char* kind, const std::function<void(byte_view)>& visit) {
    int count = 0;
    for (const auto& file : fs::directory_iterator(repository_ / kind)) {
      const auto json = decode_body(opener_->open(as_bytes(read_file(file.path()))), std::size_t{1} << 30, unzstd_);
      visit(json);
      ++count;
    }
    return count;
  }

  bytes open_blob(byte_view pack, const packed_blob& blob) {
    auto content = opener_->open(pack.subspan(blob.offset, blob.length));
    if (!blob.is_compressed()) return content;
    bytes inflated(blob.uncompressed_length);
    unzstd_.decompress(content, inflated);
    return inflated;
  }

  void check_config();
  void check_snapshots();
  void check_indexes();
  void check_packs();

  unique_directory directory_;
  fs::path repository_;
  std::optional<box> opener_;
  decompressor unzstd_;
};

void fixture_repository::check_config() {
  const auto json = opener_->open(as_bytes(read_file(repository_ / "config")));
  const auto config = decode_config(json);
  // Old restic ended its JSON with a newline.
  std::string expected(as_text(json));
  while (expected.ends_with('\n')) expected.pop_back();
  EXPECT_EQ(encode_config(config), expected);
}

void fixture_repository::check_snapshots() {
  const auto count = each("snapshots", [](byte_view json) {
    std::string expected(as_text(json));
    while (expected.ends_with('\n')) expected.pop_back();
    const auto read = decode_snapshot(json);
    EXPECT_FALSE(read.paths.empty());
    if (GetParam().by_restic) {
      EXPECT_EQ(encode_snapshot(read), expected);
    }
    EXPECT_EQ(decode_snapshot(as_bytes(encode_snapshot(read))), read);
  });
  EXPECT_EQ(count, GetParam().snapshots);
}

void fixture_repository::check_indexes() {
  each("index", [](byte_view json) {
    std::vector<indexed_pack> packs;
    decode_index(json, [&packs](const indexed_pack& entry) { packs.push_back(entry); });
    const auto text = as_text(json);
    if (GetParam().by_restic && !text.starts_with("{\"supersedes\"")) {
      EXPECT_EQ(encode_index(packs), text);
    }
  });
}

void fixture_repository::check_packs() {
  int trees = 0;
  for (const auto& file : fs::recursive_directory_iterator(repository_ / "data")) {
    if (!file.is_regular_file()) continue;
    const auto content = read_file(file.path());
    if (sha256(as_bytes(content)).hex() != file.path().filename()) continue;  // some are damaged on purpose
    const auto pack = as_bytes(content);
    const auto length = load_u32_le(pack.last(4).data());
    ASSERT_LE(length, pack.size() - 4);
    bytes header;
    try {
      header = opener_->open(pack.subspan(pack.size() - 4 - length, length));
    } catch (const error&) {
      EXPECT_STREQ(GetParam().archive, "restic/repo-unreferenced-data.tar.gz");  // has a pack of another repository
      continue;
    }
    const auto blobs = decode_pack_header(header, pack.size());
    EXPECT_EQ(encode_pack_header(blobs), header);
    for (const auto& blob : blobs) {
      const auto plaintext = open_blob(pack, blob);
      EXPECT_EQ(sha256(plaintext), blob.handle.id);
      if (blob.handle.type != blob_type::tree) continue;
      ++trees;
      EXPECT_TRUE(names_ascend(decode_tree(plaintext)));
      EXPECT_EQ(encodes_the_same(plaintext), GetParam().by_restic) << as_text(plaintext);
    }
  }
  EXPECT_EQ(trees, GetParam().trees);
}

// One test for all of a repository: deriving its key takes longer than everything else.
TEST_P(fixture_repository, is_read_and_encodes_the_same) {
  check_config();
  check_snapshots();
  check_indexes();
  check_packs();
}

INSTANTIATE_TEST_SUITE_P(all, fixture_repository,
                         testing::Values(fixture{"restic/repo-data-missing.tar.gz", "geheim", 1, 4, true},
                                         fixture{"restic/repo-duplicates.tar.gz", "geheim", 1, 8, true},
                                         fixture{"restic/repo-index-missing.tar.gz", "geheim", 2, 8, true},
                                         fixture{"restic/repo-restore-permissions-test.tar.gz", "geheim", 1, 2, true},
                                         fixture{"restic/repo-unreferenced-data.tar.gz", "geheim", 1, 4, true},
                                         fixture{"restic/small-repo.tar.gz", "geheim", 4, 6, true},
                                         fixture{"rustic/restic-repo.tar.gz", "restic", 2, 9, true},
                                         fixture{"rustic/rustic-repo.tar.gz", "rustic", 2, 9, false}));

}  // namespace
}  // namespace recoup
