// The four ways of counting.
#include <recoup/ops/stats.hpp>

#include "test_data.hpp"
#include "test_repository.hpp"

namespace recoup {
namespace {

class stats_test : public testing::TestWithParam<unsigned> {
protected:
  stats_test() : repo_(make_repository(std::make_shared<memory_backend>(), GetParam())) {
    auto& r = *repo_;
    auto linked = make_file(r, "l1", {"linked"});
    linked.links = 2, linked.inode = 5, linked.device_id = 1;
    auto second = linked;
    second.name = "l2";
    const auto tree = save_tree(
        r, {make_directory(r, "d", {make_file(r, "twice", {"same content"})}), make_file(r, "twice", {"same content"}),
            make_file(r, "parts", {std::string(1000, 'x'), "y", std::string(1000, 'x')}), linked, second});
    snapshots_.push_back(save_snapshot(r, tree));
    const auto other = save_tree(r, {make_file(r, "parts", {"y"})});
    snapshots_.push_back(save_snapshot(r, other));
  }

  repository_stats count(stats_mode mode) {
    stats_options options;
    options.mode = mode;
    stats_observer nobody;
    return stats(*repo_, snapshots_, options, nobody);
  }

  std::shared_ptr<repository> repo_;
  std::vector<found_snapshot> snapshots_;
};

TEST_P(stats_test, restore_size) {
  const auto result = count(stats_mode::restore_size);
  EXPECT_EQ(result.snapshots_count, 2u);
  EXPECT_EQ(result.total_file_count, 6 + 1u);  // directories count, as in restic
  EXPECT_EQ(result.total_size, 12 + 12 + 2001 + 6 + 1u);
}

TEST_P(stats_test, files_by_contents) {
  const auto result = count(stats_mode::files_by_contents);
  EXPECT_EQ(result.total_file_count, 4 + 1u);  // all that has no content is one
  EXPECT_EQ(result.total_size, 12 + 2001 + 6 + 1u);
}

TEST_P(stats_test, blobs_per_file) {
  const auto result = count(stats_mode::blobs_per_file);
  EXPECT_EQ(result.total_file_count, 3u);  // "parts" is one path
  EXPECT_EQ(result.total_blob_count, 4u);
  EXPECT_EQ(result.total_size, 12 + 1001 + 6u);
}

TEST_P(stats_test, raw_data) {
  const auto result = count(stats_mode::raw_data);
  EXPECT_EQ(result.total_blob_count, 4 + 3u);
  EXPECT_EQ(result.total_file_count, 0u);
  if (GetParam() == 1) {
    EXPECT_EQ(result.total_uncompressed_size, 0u);
    EXPECT_EQ(result.compression_ratio, 0);
    return;
  }
  EXPECT_EQ(result.compression_progress, 100);
  EXPECT_GT(result.compression_ratio, 1);
  EXPECT_LT(result.total_size, result.total_uncompressed_size);
  EXPECT_DOUBLE_EQ(
      result.compression_space_saving,
      100 * (1 - static_cast<double>(result.total_size) / static_cast<double>(result.total_uncompressed_size)));
}

TEST_P(stats_test, something_missing_is_an_error) {
  auto lost = make_node("lost", node_type::file);
  lost.content = std::vector{sha256(as_bytes("never stored"))};
  snapshots_.push_back(save_snapshot(*repo_, save_tree(*repo_, {lost})));
  EXPECT_EQ(count(stats_mode::restore_size).snapshots_count, 3u);
  expect_error(error_code::not_found, "/lost is in no index", [&] { (void)count(stats_mode::blobs_per_file); });
  expect_error(error_code::not_found, "is in no index", [&] { (void)count(stats_mode::raw_data); });
}

INSTANTIATE_TEST_SUITE_P(versions, stats_test, testing::Values(1u, 2u));

TEST(stats_mode, has_names) {
  EXPECT_EQ(parse_stats_mode("raw-data"), stats_mode::raw_data);
  EXPECT_EQ(parse_stats_mode("restore-size"), stats_mode::restore_size);
  EXPECT_FALSE(parse_stats_mode("debug"));
}

}  // namespace
}  // namespace recoup
