// What `recoup version` says, and what it says more with -v.
#include "cli_process.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <recoup/chunker/dispatch.hpp>
#include <recoup/hash/dispatch.hpp>

#include "unique_directory.hpp"

namespace {

using cli_test::outcome;

outcome run(const std::vector<std::string>& arguments, const std::string& kernel = {}) {
  cli_test::variables environment{{"PATH", "/usr/bin:/bin"}, {"HOME", "/nonexistent"}};
  if (!kernel.empty()) environment["RECOUP_KERNEL"] = kernel;
  return cli_test::run(arguments, environment, {});
}

/// One line for each kernel of a family, the fastest first.
template <class Entries>
std::string kernel_lines(const std::string& family, const Entries& entries, std::string_view chosen) {
  std::string lines;
  for (const auto& entry : entries)
    lines = family + " kernel " + std::string(entry.name) +
            (entry.name == chosen   ? ": chosen\n"
             : entry.runs_here() ? ": runs here\n"
                                 : ": needs another processor\n") +
            lines;
  return lines;
}

template <class Entries>
std::string kernel_objects(const std::string& family, const Entries& entries, std::string_view chosen) {
  std::string objects;
  for (const auto& entry : entries)
    objects = "{\"family\":\"" + family + "\",\"name\":\"" + std::string(entry.name) +
              "\",\"runs_here\":" + (entry.runs_here() ? "true" : "false") +
              ",\"chosen\":" + (entry.name == chosen ? "true" : "false") + "}" + (objects.empty() ? "" : ",") + objects;
  return objects;
}

TEST(cli_version, kernels_are_told_with_v_only) {
  const auto plain = run({"version"});
  EXPECT_EQ(plain.code, 0);
  EXPECT_EQ(std::count(plain.out.begin(), plain.out.end(), '\n'), 1) << plain.out;
  EXPECT_TRUE(plain.out.starts_with("recoup ")) << plain.out;
  EXPECT_TRUE(plain.out.ends_with(", restic 0.19.1 compatible\n")) << plain.out;
  const auto hashing = kernel_lines("sha256", recoup::sha256_kernels, recoup::choose_sha256_kernel(nullptr).name);
  const auto chunking = [](std::string_view chosen) { return kernel_lines("chunker", recoup::scan_kernels, chosen); };
  EXPECT_EQ(run({"version", "-v"}).out, plain.out + chunking(recoup::choose_scan_kernel("").name) + hashing);
  EXPECT_EQ(run({"version", "-v"}, "portable").out, plain.out + chunking("portable") + hashing);
  EXPECT_EQ(run({"version"}, "no-such-kernel").out, plain.out);
}

TEST(cli_version, the_json_object_has_one_field_more_with_v) {
  const auto plain = run({"version", "--json"});
  EXPECT_EQ(plain.code, 0);
  ASSERT_EQ(plain.out.substr(plain.out.size() - 2), "}\n");
  const auto kernels =
      kernel_objects("chunker", recoup::scan_kernels, "portable") + "," +
      kernel_objects("sha256", recoup::sha256_kernels, recoup::choose_sha256_kernel(nullptr).name);
  EXPECT_EQ(run({"version", "--json", "-v"}, "portable").out,
            plain.out.substr(0, plain.out.size() - 2) + ",\"kernels\":[" + kernels + "]}\n");
}

TEST(cli_version, called_as_restic_it_answers_as_restic) {
  const unique_directory place;
  const auto link = place / "restic";
  ASSERT_EQ(::symlink(cli_test::command_path().c_str(), link.c_str()), 0);
  const auto ask = [&](const std::vector<std::string>& arguments) {
    cli_test::process child(arguments, {{"HOME", "/nonexistent"}}, link);
    return child.finish().out;
  };
  const auto plain = ask({"version"});
  EXPECT_TRUE(plain.starts_with("restic 0.19.1 compiled with go0 on ")) << plain;
  EXPECT_TRUE(ask({"version", "-v"}).starts_with(plain + "recoup ")) << plain;
  EXPECT_TRUE(ask({"version", "--json"}).starts_with(R"({"message_type":"version","version":"0.19.1","go_version":"go0",)"));
}

TEST(cli_version, a_kernel_that_does_not_exist_is_an_error_that_names_those_that_do) {
  const auto done = run({"version", "-v"}, "no-such-kernel");
  EXPECT_EQ(done.code, 1);
  EXPECT_EQ(done.out, "");
  EXPECT_NE(done.err.find("RECOUP_KERNEL=no-such-kernel: there is no such kernel; those that run here are "),
            std::string::npos)
      << done.err;
  EXPECT_NE(done.err.find("portable, reference"), std::string::npos) << done.err;
}

}  // namespace
