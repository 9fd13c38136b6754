// From nodes to files: what was read from one file, applied to another, must read the same.
#include <recoup/fs/apply_metadata.hpp>
#include <recoup/fs/metadata.hpp>

#include <gtest/gtest.h>
#include <sys/sysmacros.h>

#include <cstring>

#include "unique_directory.hpp"

namespace recoup {
namespace {

class apply : public ::testing::Test {
protected:
  void SetUp() override {
    source.names = &names;
    on_warning = [this](const std::string&, const std::string& message) { warnings.push_back(message); };
  }

  node read(const std::string& name) {
    struct stat status {};
    EXPECT_EQ(::fstatat(directory.fd(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW), 0) << name;
    return read_node(directory.fd(), name.c_str(), directory / name, status, source);
  }

  void apply_to(const std::string& name, const node& from, int fd = -1) {
    apply_metadata(directory.fd(), name, fd, from, directory / name, options, on_warning);
  }

  void set_attribute(const std::string& name, const char* attribute, std::string_view value) {
    ASSERT_EQ(::lsetxattr((directory / name).c_str(), attribute, value.data(), value.size(), 0), 0)
        << attribute << ": " << std::strerror(errno);
  }

  /// The node without what no restore brings back.
  static node comparable(node made) {
    made.name.clear();
    made.ctime = {};
    made.inode = made.links = made.size = 0;
    std::sort(made.extended_attributes.begin(), made.extended_attributes.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    return made;
  }

  static node dressed(node_type type) {
    node from;
    from.type = type;
    from.mode = 0640;
    from.uid = ::geteuid() == 0 ? 1234 : ::getuid();
    from.gid = ::geteuid() == 0 ? 5678 : ::getgid();
    from.mtime = {-2'000'000'000, 123'456'789, 0};
    from.atime = {4'000'000'000, 1, 0};
    return from;
  }

  void expect_dressed(const std::string& name, const node& from) {
    struct stat status {};
    ASSERT_EQ(::fstatat(directory.fd(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW), 0) << name;
    EXPECT_EQ(status.st_uid, from.uid);
    EXPECT_EQ(status.st_gid, from.gid);
    EXPECT_EQ(status.st_mtim.tv_sec, from.mtime.seconds);
    EXPECT_EQ(status.st_mtim.tv_nsec, from.mtime.nanoseconds);
    EXPECT_EQ(status.st_atim.tv_sec, from.atime.seconds);
    EXPECT_EQ(status.st_atim.tv_nsec, from.atime.nanoseconds);
    if (from.type != node_type::symlink) { EXPECT_EQ(status.st_mode & 07777u, permissions_of(from)); }
    EXPECT_EQ(warnings, std::vector<std::string>{});
  }

  unique_directory directory;
  user_names names;
  metadata_options source;
  apply_options options;
  warning_function on_warning;
  std::vector<std::string> warnings;
};

TEST_F(apply, to_a_file_by_descriptor_and_by_name) {
  auto from = dressed(node_type::file);
  from.mode = 0711 | go_mode::setuid | go_mode::setgid | go_mode::sticky;
  for (const bool by_descriptor : {true, false}) {
    const auto name = by_descriptor ? "open" : "named";
    directory.write(name, "content");
    const file_descriptor file{by_descriptor ? ::open((directory / name).c_str(), O_WRONLY | O_CLOEXEC) : -1};
    apply_to(name, from, file.get());
    expect_dressed(name, from);
  }
}

TEST_F(apply, to_a_directory) {
  std::filesystem::create_directory(directory.path() / "inner");
  auto from = dressed(node_type::dir);
  from.mode = 0750 | go_mode::dir | go_mode::setgid;
  apply_to("inner", from);
  expect_dressed("inner", from);
}

TEST_F(apply, to_files_that_nobody_may_read) {
  directory.write("closed");
  ASSERT_EQ(::chmod((directory / "closed").c_str(), 0), 0);
  const auto from = dressed(node_type::file);
  apply_to("closed", from);
  expect_dressed("closed", from);
}

TEST_F(apply, creates_special_files) {
  auto fifo = dressed(node_type::fifo);
  create_special(directory.fd(), "fifo", fifo, "fifo");
  apply_to("fifo", fifo);
  expect_dressed("fifo", fifo);
  EXPECT_EQ(read("fifo").type, node_type::fifo);

  auto device = dressed(node_type::chardev);
  device.device = makedev(1, 3);
  try {
    create_special(directory.fd(), "null", device, "null");
  } catch (const error&) {
    GTEST_SKIP() << "mknod not permitted";
  }
  apply_to("null", device);
  expect_dressed("null", device);
  EXPECT_EQ(read("null").device, makedev(1, 3));

  auto disk = dressed(node_type::dev);
  disk.device = makedev(300, 70'000);
  create_special(directory.fd(), "disk", disk, "disk");
  EXPECT_EQ(read("disk").type, node_type::dev);
  EXPECT_EQ(read("disk").device, disk.device);
}

TEST_F(apply, to_a_symlink_and_not_to_its_target) {
  directory.write("target", "x");
  const auto before = read("target");
  auto link = dressed(node_type::symlink);
  link.link_target = "target";
  link.mode = 0777 | go_mode::symlink;
  if (::geteuid() == 0) link.extended_attributes.push_back({"trusted.recoup", bytes{1, 2}});
  create_special(directory.fd(), "link", link, "link");
  apply_to("link", link);
  expect_dressed("link", link);
  EXPECT_EQ(read("link").link_target, "target");
  EXPECT_EQ(read("link").extended_attributes, link.extended_attributes);
  EXPECT_EQ(read("target"), before);
}

TEST_F(apply, a_symlink_in_the_place_of_a_file_is_not_followed) {
  directory.write("outside", "x");
  const auto before = read("outside");
  ASSERT_EQ(::symlink("outside", (directory / "file").c_str()), 0);
  auto from = dressed(node_type::file);
  from.mode = 0777 | go_mode::setuid;
  from.extended_attributes.push_back({"user.planted", bytes{1}});
  apply_to("file", from);
  EXPECT_EQ(read("outside"), before);
}

TEST_F(apply, refuses_names_and_targets_no_file_system_holds) {
  auto link = dressed(node_type::symlink);
  link.link_target = "target";
  for (const std::string name : {"", "a/b", "/etc/x", "../x"}) {
    EXPECT_THROW(create_special(directory.fd(), name, link, name), error) << name;
  }
  EXPECT_THROW(create_special(directory.fd(), std::string("a\0b", 3), link, "x"), error);
  for (const std::string& target : {std::string(), std::string("a\0b", 3)}) {
    link.link_target = target;
    EXPECT_THROW(create_special(directory.fd(), "link", link, "link"), error);
  }
  auto device = dressed(node_type::dev);
  device.device = ~std::uint64_t{0};
  EXPECT_THROW(create_special(directory.fd(), "device", device, "device"), error);
  EXPECT_THROW(create_special(directory.fd(), "socket", dressed(node_type::socket), "socket"), error);
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST_F(apply, sets_and_removes_attributes) {
  directory.write("file");
  set_attribute("file", "user.stale", "old");
  set_attribute("file", "user.kept", "old");
  auto from = dressed(node_type::file);
  from.extended_attributes = {
      {"user.kept", bytes{'n', 'e', 'w'}}, {"user.null", std::nullopt}, {"user.empty", bytes{}}};
  apply_to("file", from);
  EXPECT_EQ(warnings, std::vector<std::string>{});

  from.extended_attributes[1].value = bytes{};  // a null value is set as an empty one
  EXPECT_EQ(comparable(read("file")).extended_attributes, comparable(from).extended_attributes);
}

TEST_F(apply, the_filter_protects_attributes_from_both) {
  directory.write("file");
  set_attribute("file", "user.private", "mine");
  auto from = dressed(node_type::file);
  from.extended_attributes = {{"user.private", bytes{'x'}}, {"user.private2", bytes{'x'}}, {"user.wanted", bytes{'w'}}};
  options.restores_attribute = [](std::string_view name) { return !name.starts_with("user.private"); };
  apply_to("file", from);
  const auto made = comparable(read("file"));
  ASSERT_EQ(made.extended_attributes.size(), 2u);
  EXPECT_EQ(as_text(*made.extended_attributes[0].value), "mine");
  EXPECT_EQ(made.extended_attributes[1].name, "user.wanted");
}

TEST_F(apply, attribute_names_from_the_repository_are_not_believed) {
  directory.write("file");
  auto from = dressed(node_type::file);
  from.extended_attributes = {{std::string("user.a\0b", 8), bytes{'x'}}, {"", bytes{'x'}}, {"no-namespace", bytes{'x'}},
                              {std::string(300, 'u'), bytes{'x'}}, {"user.good", bytes{'x'}}};
  apply_to("file", from);
  ASSERT_EQ(read("file").extended_attributes.size(), 1u);
  EXPECT_EQ(read("file").extended_attributes[0].name, "user.good");
  EXPECT_GE(warnings.size(), 2u);
}

TEST_F(apply, access_lists_survive_and_inherited_ones_go) {
  directory.write("from", "x");
  std::filesystem::create_directory(directory.path() / "from-dir");
  const std::string commands = "cd '" + directory.path().string() +
                               "' && setfacl -m u:1234:rwx,g:77:r,m::rx from && setfacl -d -m u:99:rx from-dir && "
                               "setfacl -d -m u:55:rwx .";
  if (std::system(commands.c_str()) != 0) GTEST_SKIP() << "setfacl is missing or not supported";
  directory.write("to", "x");
  std::filesystem::create_directory(directory.path() / "to-dir");
  ASSERT_FALSE(read("to").extended_attributes.empty()) << "nothing inherited";
  ASSERT_EQ(read("from").extended_attributes.size(), 1u);
  EXPECT_EQ(read("from").extended_attributes[0].name, "system.posix_acl_access");
  EXPECT_EQ(read("from-dir").extended_attributes[0].name, "system.posix_acl_default");

  apply_to("to", read("from"));
  apply_to("to-dir", read("from-dir"));
  EXPECT_EQ(warnings, std::vector<std::string>{});
  EXPECT_EQ(comparable(read("to")), comparable(read("from")));
  EXPECT_EQ(comparable(read("to-dir")), comparable(read("from-dir")));
}

TEST_F(apply, capabilities_survive_the_change_of_owner) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  directory.write("from", "x");
  // struct vfs_cap_data, revision 2: cap_net_raw permitted and effective.
  const unsigned char capability[20] = {1, 0, 0, 2, 0, 0x20, 0, 0};
  set_attribute("from", "security.capability",
                {reinterpret_cast<const char*>(capability), sizeof capability});
  ASSERT_EQ(::chmod((directory / "from").c_str(), 0755), 0);
  directory.write("to", "x");
  auto from = read("from");
  from.uid = 1234;
  apply_to("to", from);
  EXPECT_EQ(comparable(read("to")), comparable([&] {
              from.user = "";
              return from;
            }()));
}

TEST_F(apply, owner_by_name) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  directory.write("file");
  auto from = dressed(node_type::file);
  from.user = "daemon";
  from.group = "no such group";
  options.ownership_by_name = true;
  options.names = &names;
  apply_to("file", from);
  struct stat status {};
  ASSERT_EQ(::stat((directory / "file").c_str(), &status), 0);
  EXPECT_EQ(names.user(status.st_uid), "daemon");
  EXPECT_EQ(status.st_gid, from.gid) << "an unknown name must not become root";
}

TEST_F(apply, what_fails_is_a_warning_and_the_rest_goes_on) {
  auto from = dressed(node_type::file);
  apply_to("absent", from);
  ASSERT_GE(warnings.size(), 3u);
  EXPECT_EQ(warnings[0], "cannot set the owner of " + (directory / "absent") + ": No such file or directory");
}

TEST_F(apply, without_root_forbidden_things_are_no_warning) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to have something that can be forbidden";
  directory.write("file");
  auto from = dressed(node_type::file);
  // /proc/self/comm: nobody changes its owner, not even root; EPERM.
  apply_metadata(AT_FDCWD, "/proc/self/comm", -1, from, "comm", options, on_warning);
  EXPECT_FALSE(warnings.empty());
  warnings.clear();
  options.is_root = false;
  apply_metadata(AT_FDCWD, "/proc/self/comm", -1, from, "comm", options, on_warning);
  EXPECT_TRUE(warnings.empty()) << warnings[0];
}

}  // namespace
}  // namespace recoup
