// Files and archives as streams, unpacked by the programs that people unpack them with.
#include <recoup/fs/extended_attributes.hpp>
#include <recoup/ops/dump.hpp>
#include <recoup/storage/fault.hpp>

#include <sys/stat.h>
#include <sys/xattr.h>

#include <cstdio>
#include <random>

#include "test_data.hpp"
#include "test_repository.hpp"
#include "unique_directory.hpp"

namespace recoup {
namespace {

namespace fs = std::filesystem;

std::string output_of(const std::string& command) {
  FILE* pipe = ::popen(command.c_str(), "r");
  std::string text;
  char buffer[4096];
  while (const auto got = std::fread(buffer, 1, sizeof buffer, pipe)) text.append(buffer, got);
  EXPECT_EQ(::pclose(pipe), 0) << command;
  return text;
}

class dump_test : public testing::Test {
protected:
  dump_test()
      : storage_(std::make_shared<fault_backend>(std::make_shared<memory_backend>())),
        repo_(make_repository(storage_)) {}

  std::string dump_path(const std::string& path, dump_options options = {}) {
    std::string out;
    repo_->flush();
    dump(*repo_, find_dump_target(*repo_, tree_, path), options, [&](byte_view more) { out += as_text(more); });
    return out;
  }
  std::string zip_of(const std::string& path) {
    dump_options options;
    options.format = archive_format::zip;
    return dump_path(path, options);
  }
  /// Unpacks with the system's tar; returns what that says on stderr, if it is not the tests' own stderr.
  std::string untar(const std::string& archive) {
    const auto file = directory_.write("archive.tar", archive);
    fs::create_directories(directory_ / "out");
    return output_of("tar --xattrs --xattrs-include='*' -xpf '" + file + "' -C '" + (directory_ / "out") + "' 2>&1");
  }
  std::string unpacked(const std::string& path) const { return directory_ / ("out/" + path); }
  node directory(const std::string& name, std::vector<node> nodes) {
    return make_directory(*repo_, name, std::move(nodes));
  }
  node file(const std::string& name, const std::string& content) { return make_file(*repo_, name, {content}); }

  std::shared_ptr<fault_backend> storage_;
  std::shared_ptr<repository> repo_;
  id tree_;
  unique_directory directory_;
};

std::string random_part(std::size_t length, unsigned seed) {
  std::mt19937_64 random(seed);
  std::string text(length, '\0');
  for (auto& c : text) c = static_cast<char>(random());
  return text;
}

TEST_F(dump_test, a_file_is_its_content_in_order) {
  std::vector<std::string> parts;
  std::string whole;
  for (unsigned i = 0; i < 600; ++i) {
    parts.push_back(random_part(i % 7 == 0 ? 0 : 100 + i * 37 % 5000, i));
    whole += parts.back();
  }
  tree_ = save_tree(*repo_, {directory("d", {make_file(*repo_, "f", parts)}), file("empty", "")});
  EXPECT_EQ(dump_path("/d/f"), whole);
  EXPECT_EQ(dump_path("d//f"), whole);
  EXPECT_EQ(dump_path("/empty"), "");
  dump_options one;
  one.threads = 1;
  EXPECT_EQ(dump_path("/d/f", one), whole);
}

TEST_F(dump_test, what_there_is_not) {
  tree_ = save_tree(*repo_, {directory("d", {}), file("f", "1"), make_symlink("l", "f")});
  expect_error(error_code::not_found, "path \"/d/x\" not found in snapshot", [&] { (void)dump_path("/d/x/y"); });
  expect_error(error_code::invalid_argument, "\"/f\" should be a dir, but is a \"file\"",
               [&] { (void)dump_path("/f/x"); });
  expect_error(error_code::invalid_argument, "\"/l\" should be a file, but is a \"symlink\"",
               [&] { (void)dump_path("/l"); });
}

TEST_F(dump_test, tar_keeps_names_links_modes_and_times) {
  const std::string raw_name = "bad\xff\xfe", long_name(200, 'n'), long_target(150, 't');
  auto early = file("early", "e");
  early.mtime = {-2, 500'000'000, 0};
  auto late = file("late", "l");
  late.mtime = {9'000'000'000, 123'456'789, 0};
  auto suid = file("suid", "s");
  suid.mode = 0751 | go_mode::setuid;
  auto sticky = directory("sticky", {});
  sticky.mode = go_mode::dir | 0777 | go_mode::sticky;
  // 95 + 1 + 95 bytes fit when split at a slash, 250 + 1 + 100 do not.
  auto deep = directory(std::string(95, 'a'), {file(std::string(95, 'b'), "split")});
  auto deeper = directory(std::string(250, 'a'), {file(std::string(100, 'b'), "record")});
  tree_ = save_tree(*repo_, {early, late, suid, sticky, deep, deeper, file(raw_name, "raw"),
                             file("gr\u00fc\u00df", "utf8"), file(long_name, "long"), make_symlink("l1", "\u00fc"),
                             make_symlink("l2", long_target), file("new\nline", "n"), file("empty", ""),
                             file("block", std::string(512, 'x')), make_node("pipe", node_type::fifo)});
  const auto said = untar(dump_path("/"));
  EXPECT_EQ(said.find("gnoring"), std::string::npos) << said;
  const auto time_of = [&](const std::string& name) {
    struct stat status {};
    EXPECT_EQ(::lstat(unpacked(name).c_str(), &status), 0) << name;
    return std::pair(status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
  };
  EXPECT_EQ(time_of("early"), std::pair(-2L, 500'000'000L));
  EXPECT_EQ(time_of("late"), std::pair(9'000'000'000L, 123'456'789L));
  EXPECT_EQ(time_of("empty"), std::pair(1'600'000'000L, 0L));
  EXPECT_EQ(fs::status(unpacked("sticky")).permissions(), fs::perms(01777));
  if (::geteuid() == 0) {
    EXPECT_EQ(fs::status(unpacked("suid")).permissions(), fs::perms(04751));
  }
  EXPECT_EQ(read_file(unpacked(std::string(95, 'a') + "/" + std::string(95, 'b'))), "split");
  EXPECT_EQ(read_file(unpacked(std::string(250, 'a') + "/" + std::string(100, 'b'))), "record");
  EXPECT_EQ(read_file(unpacked(raw_name)), "raw");
  EXPECT_EQ(read_file(unpacked("gr\u00fc\u00df")), "utf8");
  EXPECT_EQ(read_file(unpacked(long_name)), "long");
  EXPECT_EQ(read_file(unpacked("new\nline")), "n");
  EXPECT_EQ(read_file(unpacked("block")), std::string(512, 'x'));
  EXPECT_EQ(fs::read_symlink(unpacked("l1")), "\u00fc");
  EXPECT_EQ(fs::read_symlink(unpacked("l2")), long_target);
  EXPECT_FALSE(fs::exists(unpacked("pipe")));
}

TEST_F(dump_test, tar_keeps_owners_and_attributes) {
  auto of = file("f", "1");
  of.uid = 3'000'000, of.gid = 70'000;
  of.user = "\u00fcser", of.group = std::string(40, 'g');
  of.extended_attributes = {{"user.t\u00e4st", bytes{'a', 0, 'b'}}, {"user.with=sign", bytes{'x'}}};
  of.extended_attributes.push_back({"system.posix_acl_access", bytes{2,  0, 0, 0,                      //
                                                                     1,  0, 6, 0, 255, 255, 255, 255,  //
                                                                     2,  0, 4, 0, 210, 4,   0,   0,    //
                                                                     4,  0, 4, 0, 255, 255, 255, 255,  //
                                                                     16, 0, 4, 0, 255, 255, 255, 255,  //
                                                                     32, 0, 4, 0, 255, 255, 255, 255}});
  tree_ = save_tree(*repo_, {of});
  const auto archive = dump_path("/");
  const auto has = [&](std::string_view record) { return archive.find(record) != archive.npos; };
  EXPECT_TRUE(has("15 uid=3000000\n"));
  EXPECT_TRUE(has(" uname=\u00fcser\n"));
  EXPECT_TRUE(has(" gname=" + std::string(40, 'g') + "\n"));
  EXPECT_TRUE(has(std::string(" SCHILY.xattr.user.t\u00e4st=a") + '\0' + "b\n"));
  EXPECT_TRUE(has(" SCHILY.acl.access=user::rw-\nuser:1234:r--\ngroup::r--\nmask::r--\nother::r--\n"));
  EXPECT_FALSE(has("with=sign"));
  (void)untar(archive);
  char value[16];
  if (::getxattr(unpacked("f").c_str(), "user.t\u00e4st", value, sizeof value) >= 0) {
    EXPECT_EQ(std::string_view(value, 3), std::string_view("a\0b", 3));
  }
}

TEST_F(dump_test, names_in_archives_are_paths_from_where_the_target_was_looked_up) {
  tree_ = save_tree(*repo_, {directory("home", {directory("u", {file("f", "1")}), file("not", "")})});
  (void)untar(dump_path("/home/u"));
  EXPECT_EQ(read_file(unpacked("home/u/f")), "1");
  EXPECT_FALSE(fs::exists(unpacked("home/not")));
  tree_ = find_subtree(*repo_, tree_, "home/u");
  (void)untar(dump_path("/"));
  EXPECT_EQ(read_file(unpacked("f")), "1");
}

TEST_F(dump_test, names_that_lead_out_are_refused) {
  tree_ =
      save_tree(*repo_, {file("..", "evil"), file("a/../../b", "evil"), file("z", "good"),
                         directory(".", {file("x", "evil")}), directory("d", {file("..", "evil"), file("y", "good")})});
  expect_error(error_code::damaged, "refused", [&] { (void)dump_path("/"); });
  for (const auto format : {archive_format::tar, archive_format::zip}) {
    dump_options options;
    options.format = format;
    std::vector<std::string> told;
    options.on_error = [&](const std::string& path, const error&) { told.push_back(path); };
    const auto archive = dump_path("/", options);
    EXPECT_EQ(told, (std::vector<std::string>{"/.", "/..", "/a/../../b", "/d/.."}));
    EXPECT_EQ(archive.find("evil"), archive.npos);
    if (format == archive_format::tar) (void)untar(archive);
  }
  EXPECT_EQ(read_file(unpacked("z")), "good");
  EXPECT_EQ(read_file(unpacked("d/y")), "good");
}

TEST_F(dump_test, a_lost_blob_ends_the_archive) {
  auto lost = file("lost", "1");
  lost.content->push_back(sha256(as_bytes("never stored")));
  tree_ = save_tree(*repo_, {file("a", "1"), lost});
  expect_error(error_code::not_found, "/lost: data blob", [&] { (void)dump_path("/"); });
  expect_error(error_code::not_found, "/lost: data blob", [&] { (void)dump_path("/lost"); });

  tree_ = save_tree(*repo_, {directory("d", {file("hit", "to be damaged")})});
  repo_->flush();
  fault_plan plan;
  plan.faults.push_back(
      {.kind = fault_kind::flip_bit, .operation = storage_operation::load, .type = file_type::pack, .nth = 3});
  storage_->set_plan(plan);  // two trees are read first
  expect_error(error_code::damaged, "/d/hit", [&] { (void)dump_path("/"); });
}

TEST_F(dump_test, a_directory_that_cannot_be_read_is_told_and_the_rest_archived) {
  auto gone = make_node("gone", node_type::dir);
  gone.subtree = sha256(as_bytes("no such tree"));
  tree_ = save_tree(*repo_, {gone, file("z", "1")});
  expect_error(error_code::not_found, "/gone cannot be read", [&] { (void)dump_path("/"); });
  dump_options options;
  std::vector<std::string> told;
  options.on_error = [&](const std::string& path, const error&) { told.push_back(path); };
  (void)untar(dump_path("/", options));
  EXPECT_EQ(told, std::vector<std::string>{"/gone"});
  EXPECT_EQ(read_file(unpacked("z")), "1");
}

TEST_F(dump_test, a_sink_that_fails_ends_it) {
  tree_ = save_tree(*repo_, {file("a", std::string(100'000, 'x'))});
  repo_->flush();
  const auto target = find_dump_target(*repo_, tree_, "/");
  expect_error(error_code::io, "disk full",
               [&] { dump(*repo_, target, {}, [](byte_view) { throw error(error_code::io, "disk full"); }); });
  std::stop_source stop;
  dump_options options;
  options.stop = stop.get_token();
  expect_error(error_code::interrupted, "interrupted",
               [&] { dump(*repo_, target, options, [&](byte_view) { stop.request_stop(); }); });
}

TEST_F(dump_test, many_small_files) {
  std::vector<node> nodes;
  for (int i = 0; i < 3000; ++i)
    nodes.push_back(file("f" + std::to_string(i), i % 5 == 0 ? "" : "content " + std::to_string(i)));
  for (int i = 0; i < 2000; ++i) nodes.push_back(directory("d" + std::to_string(i), {}));
  tree_ = save_tree(*repo_, nodes);
  (void)untar(dump_path("/"));
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator(directory_ / "out"))
    count += entry.is_regular_file() || entry.is_directory() ? 1 : 0;
  EXPECT_EQ(count, 5000u);
  EXPECT_EQ(read_file(unpacked("f2999")), "content 2999");
}

// What Python's zipfile, which checks every checksum, has to say.
constexpr const char* list_zip = R"(
import sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
assert archive.testzip() is None
for entry in archive.infolist():
    print(ascii(entry.filename), oct(entry.external_attr >> 16), entry.compress_type, entry.file_size,
          '%04d-%02d-%02d %02d:%02d:%02d' % entry.date_time, ascii(archive.read(entry)[:10]))
)";

TEST_F(dump_test, zip) {
  auto early = file("early", "e");
  early.mtime = {-2, 500'000'000, 0};
  auto suid = file("suid", "s");
  suid.mode = 0751 | go_mode::setuid;
  suid.mtime.zone_offset = 3600;
  tree_ = save_tree(*repo_, {early, suid, directory("d", {file("x", "in d")}), file("empty", ""),
                             file("gr\u00fc\u00df", "utf8"), make_symlink("l", "\u00fcber"),
                             make_file(*repo_, "parts", {"the beginning", random_part(3'000'000, 1), "."}),
                             make_node("pipe", node_type::fifo)});
  const auto archive = directory_.write("archive.zip", zip_of("/"));
  const auto script = directory_.write("list.py", list_zip);
  const std::string time = "2020-09-13 12:26:40 ";
  EXPECT_EQ(output_of("python3 '" + script + "' '" + archive + "'"),
            "'d/' 0o40755 0 0 " + time +
                "b''\n"
                "'d/x' 0o100644 8 4 " +
                time +
                "b'in d'\n"
                "'early' 0o100644 8 1 1980-01-01 00:00:00 b'e'\n"
                "'empty' 0o100644 0 0 " +
                time +
                "b''\n"
                "'gr\\xfc\\xdf' 0o100644 8 4 " +
                time +
                "b'utf8'\n"
                "'l' 0o120777 0 5 " +
                time +
                "b'\\xc3\\xbcber'\n"
                "'parts' 0o100644 8 3000014 " +
                time +
                "b'the beginn'\n"
                "'suid' 0o104751 8 1 2020-09-13 13:26:40 b's'\n");
}

}  // namespace
}  // namespace recoup
