// From files to nodes: what fstatat, readlink and the attribute calls say must arrive in the node by restic's rules.
#include <recoup/fs/directory.hpp>
#include <recoup/fs/metadata.hpp>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include <ctime>

#include "unique_directory.hpp"

namespace recoup {
namespace {

class metadata : public ::testing::Test {
protected:
  void SetUp() override {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
    options.names = &names;
    options.on_warning = [this](const std::string& path, const std::string& message) {
      warnings.push_back(path + "|" + message);
    };
  }

  node read(const std::string& name, int fd = -1) {
    struct stat status {};
    EXPECT_EQ(::fstatat(directory.fd(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW), 0) << name;
    return read_node(directory.fd(), name.c_str(), directory / name, status, options, fd);
  }

  void set_attribute(const std::string& name, const char* attribute, const std::string& value) {
    ASSERT_EQ(::lsetxattr((directory / name).c_str(), attribute, value.data(), value.size(), 0), 0)
        << attribute << ": " << std::strerror(errno);
  }

  unique_directory directory;
  user_names names;
  metadata_options options;
  std::vector<std::string> warnings;
};

TEST_F(metadata, of_a_file) {
  directory.write("file", "seven b");
  ASSERT_EQ(::chmod((directory / "file").c_str(), 04751), 0);
  const auto made = read("file");
  struct stat status {};
  ASSERT_EQ(::lstat((directory / "file").c_str(), &status), 0);

  EXPECT_EQ(made.name, "file");
  EXPECT_EQ(made.type, node_type::file);
  EXPECT_EQ(made.mode, 0751u | go_mode::setuid);
  EXPECT_EQ(made.size, 7u);
  EXPECT_EQ(made.links, 1u);
  EXPECT_EQ(made.inode, status.st_ino);
  EXPECT_EQ(made.device_id, status.st_dev);
  EXPECT_EQ(made.device, 0u);
  EXPECT_EQ(made.uid, ::getuid());
  EXPECT_EQ(made.gid, ::getgid());
  EXPECT_EQ(made.ctime, local_timestamp(status.st_ctim));
  EXPECT_FALSE(made.content);
  EXPECT_FALSE(made.subtree);
  EXPECT_TRUE(made.extended_attributes.empty());
  EXPECT_TRUE(warnings.empty());
}

TEST_F(metadata, counts_hard_links) {
  const auto file = directory.write("first", "x");
  ASSERT_EQ(::link(file.c_str(), (directory / "second").c_str()), 0);
  EXPECT_EQ(read("first").links, 2u);
  EXPECT_EQ(read("first").inode, read("second").inode);
}

TEST_F(metadata, of_a_directory_has_neither_size_nor_links) {
  ASSERT_EQ(::mkdir((directory / "inner").c_str(), 0700), 0);
  ASSERT_EQ(::chmod((directory / "inner").c_str(), 03755), 0);
  const auto made = read("inner");
  EXPECT_EQ(made.type, node_type::dir);
  EXPECT_EQ(made.mode, 0755u | go_mode::dir | go_mode::setgid | go_mode::sticky);
  EXPECT_EQ(made.size, 0u);
  EXPECT_EQ(made.links, 0u);
}

TEST_F(metadata, of_a_symlink_keeps_raw_bytes_and_does_not_follow) {
  directory.write("target");
  set_attribute("target", "user.of-target", "1");
  ASSERT_EQ(::symlink("target", (directory / "link").c_str()), 0);
  ASSERT_EQ(::symlink("bad\xff\n", (directory / "odd").c_str()), 0);
  const auto made = read("link");
  EXPECT_EQ(made.type, node_type::symlink);
  EXPECT_EQ(made.mode, 0777u | go_mode::symlink);
  EXPECT_EQ(made.link_target, "target");
  EXPECT_EQ(made.links, 1u);
  EXPECT_EQ(made.size, 0u);
  EXPECT_TRUE(made.extended_attributes.empty());
  EXPECT_EQ(read("odd").link_target, "bad\xff\n");
}

TEST_F(metadata, long_symlink_targets_are_whole) {
  const std::string target(4000, 't');
  ASSERT_EQ(::symlink(target.c_str(), (directory / "long").c_str()), 0);
  EXPECT_EQ(read_link(directory.fd(), "long").value_or(""), target);
  EXPECT_EQ(read_link(directory.fd(), "long", 127).value_or(""), target);
  EXPECT_FALSE(read_link(directory.fd(), "absent"));
}

TEST_F(metadata, of_fifos_and_sockets) {
  ASSERT_EQ(::mkfifo((directory / "fifo").c_str(), 0640), 0);
  const auto made = read("fifo");
  EXPECT_EQ(made.type, node_type::fifo);
  EXPECT_EQ(made.mode, 0640u | go_mode::named_pipe);
  EXPECT_EQ(made.links, 0u);

  const file_descriptor socket{::socket(AF_UNIX, SOCK_STREAM, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto path = directory / "socket";
  ASSERT_LT(path.size(), sizeof address.sun_path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(read("socket").type, node_type::socket);
  EXPECT_TRUE(read("socket").mode & go_mode::socket);
}

TEST_F(metadata, of_devices) {
  if (::mknod((directory / "null").c_str(), S_IFCHR | 0666, makedev(1, 3)) != 0) GTEST_SKIP() << "mknod not permitted";
  const auto made = read("null");
  EXPECT_EQ(made.type, node_type::chardev);
  EXPECT_EQ(made.mode & ~0777u, go_mode::device | go_mode::char_device);
  EXPECT_EQ(made.device, 0x103u);
  EXPECT_EQ(made.links, 1u);
  ASSERT_EQ(::mknod((directory / "disk").c_str(), S_IFBLK | 0600, makedev(259, 300)), 0);
  EXPECT_EQ(read("disk").type, node_type::dev);
  EXPECT_EQ(read("disk").mode, 0600u | go_mode::device);
  EXPECT_EQ(read("disk").device, makedev(259, 300));
}

TEST_F(metadata, access_time_only_when_asked) {
  directory.write("file");
  const timespec times[] = {{1'000'000'000, 5}, {-86'401, 999'999'999}};
  ASSERT_EQ(::utimensat(directory.fd(), "file", times, 0), 0);
  EXPECT_EQ(read("file").mtime, (timestamp{-86'401, 999'999'999, 0}));
  EXPECT_EQ(read("file").atime, read("file").mtime);
  options.with_atime = true;
  EXPECT_EQ(read("file").atime, (timestamp{1'000'000'000, 5, 0}));
}

TEST_F(metadata, times_are_in_the_zone_of_their_instant) {
  ::setenv("TZ", "Europe/Berlin", 1);
  ::tzset();
  directory.write("file");
  for (const auto& [second, offset] : {std::pair{1'704'067'200, 3600}, std::pair{1'719'792'000, 7200}}) {
    const timespec times[] = {{second, 0}, {second, 0}};
    ASSERT_EQ(::utimensat(directory.fd(), "file", times, 0), 0);
    EXPECT_EQ(read("file").mtime, (timestamp{second, 0, offset}));
  }
}

TEST_F(metadata, attributes_in_the_kernels_order) {
  directory.write("file");
  set_attribute("file", "user.zz", "last");
  set_attribute("file", "user.aa", "first");
  set_attribute("file", "user.empty", "");
  set_attribute("file", "user.binary", std::string("\0\xff", 2));
  std::vector<std::string> listed;
  char buffer[1024];
  const auto length = ::llistxattr((directory / "file").c_str(), buffer, sizeof buffer);
  for (const char* at = buffer; at < buffer + length; at += std::strlen(at) + 1) listed.emplace_back(at);
  ASSERT_EQ(listed.size(), 4u);

  const auto file = open_for_reading(directory.fd(), "file");
  const auto by_name = read("file");
  EXPECT_EQ(by_name, read("file", file.get()));
  std::vector<std::string> read_names;
  for (const auto& attribute : by_name.extended_attributes) {
    read_names.push_back(attribute.name);
    ASSERT_TRUE(attribute.value) << attribute.name;
    const std::string value(as_text(*attribute.value));
    if (attribute.name == "user.binary") { EXPECT_EQ(value, std::string("\0\xff", 2)); }
    if (attribute.name == "user.empty") { EXPECT_EQ(value, ""); }
    if (attribute.name == "user.aa") { EXPECT_EQ(value, "first"); }
  }
  EXPECT_EQ(read_names, listed);
}

TEST_F(metadata, attributes_larger_than_the_first_guess) {
  directory.write("file");
  set_attribute("file", "user.long", std::string(3000, 'v'));
  const auto made = read("file");
  ASSERT_EQ(made.extended_attributes.size(), 1u);
  EXPECT_EQ(as_text(*made.extended_attributes[0].value), std::string(3000, 'v'));
}

TEST_F(metadata, more_attributes_than_the_first_guess) {
  directory.write("file");
  int count = 0;
  for (; count < 60; ++count) {
    const auto name = "user." + std::string(40, 'n') + std::to_string(count);
    if (::lsetxattr((directory / "file").c_str(), name.c_str(), "", 0, 0) != 0) break;  // ext4: one block for all
  }
  ASSERT_GT(count, 25) << "not more than fit into a KiB";
  EXPECT_EQ(read("file").extended_attributes.size(), static_cast<std::size_t>(count));
}

TEST_F(metadata, attributes_of_a_symlink_itself) {
  ASSERT_EQ(::symlink("nowhere", (directory / "link").c_str()), 0);
  if (::lsetxattr((directory / "link").c_str(), "trusted.recoup", "L", 1, 0) != 0)
    GTEST_SKIP() << "trusted attributes not permitted";
  const auto made = read("link");
  ASSERT_EQ(made.extended_attributes.size(), 1u);
  EXPECT_EQ(made.extended_attributes[0].name, "trusted.recoup");
}

// On kernels without listxattrat, names are reached through /proc; the same file must read the same.
TEST_F(metadata, attributes_through_proc_are_the_same) {
  directory.write("file");
  set_attribute("file", "user.a", "1");
  ASSERT_EQ(::symlink("file", (directory / "link").c_str()), 0);
  const attribute_holder file(path_through_descriptor(directory.fd(), "file"));
  EXPECT_EQ(read_extended_attributes(file, "file", options), read("file").extended_attributes);
  const attribute_holder link(path_through_descriptor(directory.fd(), "link"));
  EXPECT_TRUE(read_extended_attributes(link, "link", options).empty());
}

TEST_F(metadata, what_cannot_be_read_is_a_warning) {
  ASSERT_EQ(::symlink("target", (directory / "link").c_str()), 0);
  struct stat status {};
  ASSERT_EQ(::fstatat(directory.fd(), "link", &status, AT_SYMLINK_NOFOLLOW), 0);
  ASSERT_EQ(::unlink((directory / "link").c_str()), 0);
  const auto made = read_node(directory.fd(), "link", "/shown/link", status, options);
  EXPECT_EQ(made.type, node_type::symlink);
  EXPECT_EQ(made.link_target, "");
  ASSERT_EQ(warnings.size(), 2u);
  EXPECT_EQ(warnings[0], "/shown/link|incomplete metadata: cannot read symlink /shown/link: No such file or directory");
}

TEST_F(metadata, unknown_types_are_refused) {
  struct stat status {};
  EXPECT_THROW((void)read_node(directory.fd(), "x", "x", status, options), error);
}

TEST(user_names, known_and_unknown) {
  user_names names;
  EXPECT_EQ(names.user(0), "root");
  EXPECT_EQ(names.group(0), "root");
  EXPECT_EQ(names.user(3'999'999'999), "");
  EXPECT_EQ(&names.user(0), &names.user(0)) << "not remembered";
  EXPECT_EQ(names.user(64), names.user(64)) << "shares a slot with 0";
  EXPECT_EQ(names.user(0), "root");
  EXPECT_EQ(names.uid("root"), 0u);
  EXPECT_EQ(names.gid("root"), 0u);
  EXPECT_FALSE(names.uid("no such user"));
  EXPECT_FALSE(names.gid(""));
}

TEST(directory, lists_names_by_raw_bytes) {
  unique_directory directory;
  // Upper before lower case, 0xff after everything in ASCII, a name that is the start of another first.
  for (const char* name : {"b", "B", "\xff", "a", "ab", "a b", "new\nline", "\xc3\xa4", "..."}) directory.write(name);
  std::filesystem::create_directory(directory.path() / "sub");
  const std::vector<std::string> expected{"...", "B", "a", "a b", "ab", "b", "new\nline", "sub", "\xc3\xa4", "\xff"};
  EXPECT_EQ(list_directory(open_directory(AT_FDCWD, directory.path().c_str()).get()), expected);

  const auto entries = read_directory(open_directory(AT_FDCWD, directory.path().c_str()).get());
  ASSERT_EQ(entries.size(), expected.size());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    EXPECT_EQ(entries[i].name, expected[i]);
    if (entries[i].type != DT_UNKNOWN) { EXPECT_EQ(entries[i].type, expected[i] == "sub" ? DT_DIR : DT_REG); }
  }
}

TEST(directory, larger_than_one_buffer) {
  unique_directory directory;
  constexpr int count = 3000;
  for (int i = 0; i < count; ++i) directory.write("a name that is rather long " + std::to_string(i));
  const auto names = list_directory(open_directory(AT_FDCWD, directory.path().c_str()).get());
  EXPECT_EQ(names.size(), static_cast<std::size_t>(count));
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

TEST(directory, symlinks_are_followed_only_when_asked) {
  unique_directory directory;
  std::filesystem::create_directory(directory.path() / "real");
  std::filesystem::create_directory_symlink("real", directory.path() / "link");
  EXPECT_THROW((void)open_directory(directory.fd(), "link"), error);
  EXPECT_TRUE(open_directory(directory.fd(), "link", symlinks::follow));
  try {
    (void)open_directory(directory.fd(), "absent", symlinks::follow, "/shown/absent");
    FAIL();
  } catch (const error& thrown) {
    EXPECT_EQ(thrown.code(), error_code::not_found);
    EXPECT_STREQ(thrown.what(), "cannot open directory /shown/absent: No such file or directory");
  }
}

TEST(directory, opening_leaves_no_access_time) {
  unique_directory directory;
  directory.write("file", "content");
  const timespec times[] = {{1'000'000'000, 0}, {1'000'000'000, 0}};
  ASSERT_EQ(::utimensat(directory.fd(), "file", times, 0), 0);
  const auto file = open_for_reading(directory.fd(), "file");
  char byte = 0;
  ASSERT_EQ(::read(file.get(), &byte, 1), 1);
  struct stat status {};
  ASSERT_EQ(::fstat(file.get(), &status), 0);
  EXPECT_EQ(status.st_atim.tv_sec, 1'000'000'000);
}

}  // namespace
}  // namespace recoup
