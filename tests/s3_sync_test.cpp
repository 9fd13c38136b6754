// Copies between buckets of real servers and directories, with ends that go wrong on purpose.
#include <recoup/ops/sync.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string_view>

#include <recoup/s3/bucket.hpp>

#include "s3_server.hpp"
#include "test_data.hpp"
#include "unique_directory.hpp"

namespace recoup {
namespace {

using recoup_test::s3_program;
using recoup_test::s3_server;

bytes random_bytes(std::size_t size) {
  std::mt19937_64 random(size);
  bytes content(size);
  for (auto& each : content) each = static_cast<std::uint8_t>(random());
  return content;
}

/// Keys that no server takes: a list of anything, for the other end to cope with.
class listed_place : public sync_place {
public:
  class content : public sync_source {
  public:
    explicit content(std::string text) : text_(std::move(text)) {}
    [[nodiscard]] std::uint64_t size() const override { return text_.size(); }
    [[nodiscard]] timestamp modified() const override { return {1'000'000, 0, 0}; }
    void read(std::uint64_t offset, byte_span into) override {
      std::ranges::copy(std::string_view(text_).substr(offset, into.size()), into.begin());
    }

  private:
    std::string text_;
  };

  explicit listed_place(std::map<std::string, std::string> objects) : objects_(std::move(objects)) {}
  [[nodiscard]] std::string describe() const override { return "a list"; }
  [[nodiscard]] bool is_directory() const override { return false; }
  [[nodiscard]] unsigned connections() const override { return 4; }
  void list(const std::function<void(sync_entry)>& visit,
            const std::function<void(const std::string&, const std::string&)>&) override {
    for (const auto& [key, text] : objects_) visit({key, text.size(), {}, {1'000'000, 0, 0}});
  }
  [[nodiscard]] std::unique_ptr<sync_source> open(const sync_entry& entry) override {
    return std::make_unique<content>(objects_.at(entry.key));
  }
  [[nodiscard]] std::unique_ptr<sync_target> create(const std::string&, const sync_source&,
                                                    const part_layout&) override {
    throw error(error_code::failure, "read only");
  }
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> remove(const std::vector<std::string>&) override {
    return {};
  }

private:
  const std::map<std::string, std::string> objects_;
};

std::map<std::string, std::string> files_below(const std::filesystem::path& root) {
  std::map<std::string, std::string> found;
  for (const auto& each : std::filesystem::recursive_directory_iterator(root))
    if (!each.is_directory()) found[each.path().lexically_relative(root)] = read_file(each.path());
  return found;
}

sync_result copy(sync_place& from, sync_place& to, sync_options options = {}) {
  sync_observer observer;
  return execute_sync(plan_sync(from, to, options), from, to, options, observer);
}

using namespace std::string_literals;
/// Unescaped an odd name and no more; escaped, what is left of its parts are dots.
const auto long_names = std::string(240, 'e') + "../" + std::string(240, 'e') + "../outside";
const std::map<std::string, std::string> hostile{{"../outside", "1"},
                                                 {"a/../../outside", "2"},
                                                 {"/etc/outside", "3"},
                                                 {"fine", "4"},
                                                 {"x//y", "5"},
                                                 {".", "6"},
                                                 {"..", "7"},
                                                 {"nul\0nul"s, "8"},
                                                 {"a", "9"},
                                                 {"a/b", "10"},
                                                 {"dir/", ""},
                                                 {"full/", "11"},
                                                 {std::string(300, 'l'), "12"},
                                                 {".recoup-sync-tmp-1", "13"},
                                                 {long_names, "14"}};

TEST(s3_sync_test, no_key_leaves_the_directory) {
  const unique_directory where;
  std::filesystem::create_directory(where.path() / "inside");
  listed_place from(hostile);
  directory_place to(where / "inside");
  const auto done = copy(from, to);
  EXPECT_EQ(done.copied, 4u);
  EXPECT_EQ(done.failures.size(), hostile.size() - 4);
  auto found = files_below(where.path());
  EXPECT_EQ(found.size(), 3u);  // and a directory
  EXPECT_EQ(found["inside/fine"], "4");
  EXPECT_EQ(found["inside/a/b"], "10");
  EXPECT_EQ(found["inside/" + long_names], "14");
  EXPECT_TRUE(std::filesystem::is_directory(where.path() / "inside/dir"));
  EXPECT_EQ(copy(from, to).copied, 0u);
}

TEST(s3_sync_test, escaped_every_key_is_a_file_and_comes_back) {
  const unique_directory where;
  std::filesystem::create_directory(where.path() / "inside");
  listed_place from(hostile);
  directory_place to(where / "inside", {true, false});
  const auto done = copy(from, to);
  EXPECT_EQ(done.failures.size(), 0u) << done.failures.at(0).key << done.failures.at(0).reason;
  EXPECT_EQ(done.copied, hostile.size());
  for (const auto& [path, text] : files_below(where.path())) EXPECT_TRUE(path.starts_with("inside/")) << path;
  EXPECT_EQ(copy(from, to).equal, hostile.size());
  directory_place back(where / "inside", {true, false});
  std::map<std::string, std::string> found;
  back.list(
      [&](sync_entry entry) {
        bytes content(entry.size);
        back.open(entry)->read(0, content);
        found[entry.key] = as_text(content);
      },
      [](const std::string& name, const std::string& reason) { ADD_FAILURE() << name << ": " << reason; });
  EXPECT_EQ(found, hostile);
}

TEST(s3_sync_test, links_in_the_directory_are_not_followed) {
  const unique_directory where;
  std::filesystem::create_directories(where.path() / "inside");
  std::filesystem::create_directories(where.path() / "elsewhere");
  where.write("elsewhere/victim", "unharmed");
  std::filesystem::create_directory_symlink(where.path() / "elsewhere", where.path() / "inside/d");
  std::filesystem::create_symlink(where.path() / "elsewhere/victim", where.path() / "inside/f");
  listed_place from({{"d/victim", "x"}, {"d/new", "x"}, {"f", "x"}});
  directory_place to(where / "inside");
  const auto done = copy(from, to);
  EXPECT_EQ(done.copied, 1u);  // f replaces the link itself
  EXPECT_EQ(done.failures.size(), 2u);
  EXPECT_EQ(read_file(where.path() / "elsewhere/victim"), "unharmed");
  EXPECT_FALSE(std::filesystem::exists(where.path() / "elsewhere/new"));
  EXPECT_TRUE(std::filesystem::is_regular_file(std::filesystem::symlink_status(where.path() / "inside/f")));
  for (const auto& failure : to.remove({"d/victim"})) EXPECT_NE(failure.second.find("link"), std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(where.path() / "elsewhere/victim"));
}

/// An end that stores something else than it was given, now and then.
class lying_place : public directory_place {
public:
  using directory_place::directory_place;

  class target : public sync_target {
  public:
    explicit target(std::unique_ptr<sync_target> inner) : inner_(std::move(inner)) {}
    void write(std::uint64_t part, byte_view content, const id& sha256) override {
      bytes wrong(content.begin(), content.end());
      wrong.at(wrong.size() / 2) ^= 1;
      inner_->write(part, wrong, sha256);
    }
    [[nodiscard]] bool finish(const content_digests& digests) override { return inner_->finish(digests); }

  private:
    std::unique_ptr<sync_target> inner_;
  };

  [[nodiscard]] std::unique_ptr<sync_target> create(const std::string& key, const sync_source& from,
                                                    const part_layout& parts) override {
    auto inner = directory_place::create(key, from, parts);
    if (key != "bad") return inner;
    return std::make_unique<target>(std::move(inner));
  }
};

TEST(s3_sync_test, what_a_disk_got_wrong_does_not_appear) {
  const unique_directory where;
  listed_place from({{"bad", "contents"}, {"good", "contents"}});
  lying_place to(where.path().string());
  const auto done = copy(from, to);
  EXPECT_EQ(done.copied, 1u);
  ASSERT_EQ(done.failures.size(), 1u);
  EXPECT_NE(done.failures[0].reason.find("read back"), std::string::npos) << done.failures[0].reason;
  EXPECT_EQ(files_below(where.path()).size(), 1u);
}

// ---- servers --------------------------------------------------------------------------------------------------------

/// A server and a client for it.
struct served {
  explicit served(s3_program program) : server(program) {
    ::setenv("AWS_ACCESS_KEY_ID", server.access_key().c_str(), 1);
    ::setenv("AWS_SECRET_ACCESS_KEY", server.secret_key().c_str(), 1);
    client = std::make_unique<s3_client>(s3_endpoint{false, "127.0.0.1:" + std::to_string(server.port())},
                                         s3_settings{}, http_options{});
    create_bucket(*client, "one");
    create_bucket(*client, "two");
  }
  s3_server server;
  std::unique_ptr<s3_client> client;
};

class s3_sync : public testing::TestWithParam<s3_program> {};

TEST_P(s3_sync, parts_stay_parts) {
  served here(GetParam());
  const auto content = random_bytes((11 << 20) + 5);
  {
    multipart_upload upload(*here.client, {"one", "large"});
    upload.upload_part(1, byte_view(content).first(5 << 20));
    upload.upload_part(2, byte_view(content).subspan(5 << 20, 5 << 20));
    upload.upload_part(3, byte_view(content).subspan(10 << 20));
    upload.complete();
  }
  put_object(*here.client, {"one", "small"}, random_bytes(1000));
  put_object(*here.client, {"one", "empty"}, {});
  bucket_place from(*here.client, "one", ""), to(*here.client, "two", "below/");
  const auto done = copy(from, to);
  EXPECT_EQ(done.copied, 3u);
  EXPECT_EQ(done.proven_by_etag, 3u);
  EXPECT_EQ(head_object(*here.client, {"two", "below/large"}).etag, head_object(*here.client, {"one", "large"}).etag);
  bytes arrived;
  get_object(*here.client, {"two", "below/large"}, arrived);
  EXPECT_TRUE(arrived == content);
  EXPECT_EQ(copy(from, to).equal, 3u);

  sync_options options;
  options.checksum = true;
  EXPECT_EQ(copy(from, to, options).equal, 3u);
}

TEST_P(s3_sync, a_small_memory_is_enough) {
  served here(GetParam());
  for (int i = 0; i < 12; ++i) put_object(*here.client, {"one", std::to_string(i)}, random_bytes(1 << 20));
  bucket_place from(*here.client, "one", ""), to(*here.client, "two", "");
  sync_options options;
  options.memory = 1 << 20;
  EXPECT_EQ(copy(from, to, options).copied, 12u);
}

TEST_P(s3_sync, a_stop_ends_it) {
  served here(GetParam());
  put_object(*here.client, {"one", "a"}, random_bytes(1000));
  bucket_place from(*here.client, "one", ""), to(*here.client, "two", "");
  const auto plan = plan_sync(from, to);
  std::stop_source stop;
  stop.request_stop();
  sync_observer observer;
  expect_error(error_code::interrupted, "interrupted",
               [&] { (void)execute_sync(plan, from, to, {}, observer, stop.get_token()); });
}

INSTANTIATE_TEST_SUITE_P(both, s3_sync, testing::Values(s3_program::minio, s3_program::versitygw),
                         [](const auto& chosen) { return chosen.param == s3_program::minio ? "minio" : "versitygw"; });

}  // namespace
}  // namespace recoup
