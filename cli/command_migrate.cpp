#include <memory>
#include <optional>
#include <string>

#include <recoup/ops/check.hpp>
#include <recoup/ops/upgrade_repository.hpp>

#include "command.hpp"
#include "session.hpp"

namespace recoup::cli {

namespace {

constexpr const char* upgrade = "upgrade_repo_v2";

class error_printer : public check_observer {
public:
  explicit error_printer(const context& call) : call_(call) {}
  void on_error(const std::string& text) override { call_.out.error(text); }

private:
  const context& call_;
};

void require_intact(const context& call, session& open) {
  call.out.info("checking repository integrity...");
  check_options options;
  options.stop = open.token();
  error_printer errors(call);
  if (!check(open.repo(), options, errors).clean()) throw error(error_code::failure, "repository contains errors");
}

void apply(const context& call, session& open, bool force) {
  const auto version = open.repo().config().version;
  if (version != 1) {
    const auto why = "repository is already upgraded to version " + std::to_string(version);
    if (!force)
      return call.out.error("migration " + std::string(upgrade) + " cannot be applied: " + why +
                            "\nIf you want to apply this migration anyway, re-run with option --force\n");
    call.out.error("check for migration " + std::string(upgrade) + " failed, continuing anyway\n");
  }
  require_intact(call, open);
  call.out.info("applying migration " + std::string(upgrade) + "...");
  try {
    upgrade_repository(open.repo());
  } catch (const error& problem) {
    call.out.error("migration " + std::string(upgrade) + " failed: " + problem.what());
    throw;
  }
  call.out.info("migration " + std::string(upgrade) + ": success");
}

void run(context& call, bool force) {
  session open(call, lock_mode::exclusive);
  if (call.arguments.empty()) {
    call.out.info("available migrations:");
    call.out.info(open.repo().config().version == 1
                      ? "  " + std::string(upgrade) + "\tupgrade a repository to version 2"
                      : "no migrations found");
    return;
  }
  std::optional<error> first;
  for (const auto& name : call.arguments) {
    if (name != upgrade) {
      call.out.error("unknown migration " + name);
      continue;
    }
    try {
      apply(call, open, force);
    } catch (const error& problem) {
      if (problem.code() == error_code::interrupted) throw;
      if (!first) first.emplace(problem);
    }
  }
  if (first) throw error(*first);
}

}  // namespace

void add_migrate_command(command_tree& tree) {
  auto& command = tree.add(tree.root, "migrate", "[flags] [migration name] [...]", "Apply migrations");
  command.details =
      "Without a name, lists the migrations that this repository can have. upgrade_repo_v2 makes a repository of format\n"
      "version 1 into one of version 2, in which what is stored from then on is compressed; `prune --repack-uncompressed`\n"
      "compresses the rest. Programs older than restic 0.14 cannot use it then.\n";
  command.words = {upgrade};
  const auto force = std::make_shared<bool>(false);
  add_switch(*command.app, "-f,--force", *force, "apply a migration a second time");
  command.run = [force](context& call) { run(call, *force); };
}

}  // namespace recoup::cli
