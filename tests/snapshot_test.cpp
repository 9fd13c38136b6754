// Snapshot files.
#include <recoup/repo/snapshot.hpp>

#include "test_data.hpp"

namespace recoup {
namespace {

const std::string zeros(64, '0');

snapshot full() {
  snapshot all;
  all.time = {1704164645, 123456789, 3600};
  all.parent = id{};
  all.tree.value.fill(0x11);
  all.paths = {"/home/u&v", "/"};
  all.hostname = "host", all.username = "user", all.uid = 1, all.gid = 2;
  all.excludes = {"*.o"}, all.tags = {"a", "b"};
  all.original = id{};
  all.program_version = "recoup 1";
  all.summary = snapshot_summary{{1, 0, 0}, {2, 0, 0}, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, UINT64_MAX};
  return all;
}

TEST(snapshot, encodes_in_restic_s_order) {
  EXPECT_EQ(
      encode_snapshot(full()),
      R"({"time":"2024-01-02T04:04:05.123456789+01:00","parent":")" + zeros + R"(","tree":")" + std::string(64, '1') +
          R"(","paths":["/home/u\u0026v","/"],"hostname":"host","username":"user","uid":1,"gid":2,)"
          R"("excludes":["*.o"],"tags":["a","b"],"original":")" +
          zeros +
          R"(","program_version":"recoup 1","summary":{"backup_start":"1970-01-01T00:00:01Z",)"
          R"("backup_end":"1970-01-01T00:00:02Z","files_new":3,"files_changed":4,"files_unmodified":5,"dirs_new":6,)"
          R"("dirs_changed":7,"dirs_unmodified":8,"data_blobs":9,"tree_blobs":10,"data_added":11,)"
          R"("data_added_packed":12,"total_files_processed":13,"total_bytes_processed":18446744073709551615}})");
  EXPECT_EQ(decode_snapshot(as_bytes(encode_snapshot(full()))), full());
}

TEST(snapshot, leaves_out_what_is_empty) {
  EXPECT_EQ(encode_snapshot(snapshot{}), R"({"time":"1970-01-01T00:00:00Z","tree":")" + zeros + R"(","paths":[]})");
  EXPECT_EQ(decode_snapshot(as_bytes(encode_snapshot(snapshot{}))), snapshot{});
}

// As restic 0.19.1 wrote it, but for the path.
TEST(snapshot, of_restic_encodes_to_the_same_bytes) {
  const auto json = read_file(test_data("snapshot_restic_0.19.1.json"));
  const auto read = decode_snapshot(as_bytes(json));
  EXPECT_EQ(read.program_version, "restic 0.19.1");
  EXPECT_EQ(read.tags, (std::vector<std::string>{"one", "<two>"}));
  EXPECT_EQ(read.time.zone_offset, -12600);
  ASSERT_TRUE(read.parent && read.summary);
  EXPECT_EQ(read.summary->total_files_processed, 1u);
  EXPECT_EQ(encode_snapshot(read), json);
}

TEST(snapshot, takes_what_other_versions_and_programs_write) {
  const auto read = decode_snapshot(as_bytes(
      "{\"time\":\"2015-01-02T18:10:50.895208559+01:00\",\"tree\":\"" + zeros +
      R"(","dir":"/tmp","paths":["/tmp"],"hostname":"k","tags":null,"excludes":null,"parent":null,"summary":null,)"
      R"("label":"x","delete":"NotSet","description":"d","program_version":"rustic 0.11"})"
      "\n"));
  EXPECT_TRUE(read.tags.empty());
  EXPECT_FALSE(read.parent || read.summary || read.original);
  EXPECT_EQ(read.time.nanoseconds, 895208559);
  EXPECT_EQ(read.program_version, "rustic 0.11");
}

TEST(snapshot, refuses_what_is_none) {
  const auto refuse = [](std::string_view json, std::string_view part) {
    expect_error(error_code::damaged, part, [json] { (void)decode_snapshot(as_bytes(json)); });
  };
  refuse("", "snapshot is damaged");
  refuse("{}", "it names no tree");
  refuse(R"({"tree":null})", "it names no tree");
  refuse(R"({"tree":"12"})", "field tree: must be 64");
  refuse(R"({"time":"2024-01-02"})", "field time: must be a time");
  refuse(R"({"uid":-1})", "field uid: must be an integer");
  refuse(R"({"paths":"x"})", "field paths: must be an array");
  refuse(R"({"paths":[7]})", "field paths[0]: must be a string");
  refuse(R"({"summary":[]})", "field summary: must be an object");
  refuse(R"({"summary":{"data_added":-1}})", "field summary.data_added: must be an integer");
}

}  // namespace
}  // namespace recoup
