#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <recoup/json/json_writer.hpp>
#include <recoup/ops/tag.hpp>

#include "command.hpp"
#include "session.hpp"
#include "snapshot_flags.hpp"

namespace recoup::cli {

namespace {

struct tag_flags {
  snapshot_flags choice;
  std::vector<std::string> set, add, remove;
};

/// All tags of all lists; white space around them and empty ones go.
std::vector<std::string> flatten(const std::vector<std::string>& lists) {
  std::vector<std::string> tags;
  for (const auto& list : lists)
    for (auto& tag : split_tags(list))
      if (!tag.empty()) tags.push_back(std::move(tag));
  return tags;
}

class tag_printer : public tag_observer {
public:
  explicit tag_printer(const context& call) : call_(call) {}

  void on_changed(const found_snapshot& old, const id& now) override {
    if (!call_.options.json)
      return call_.out.detail("old snapshot ID: " + old.id.hex() + " -> new snapshot ID: " + now.hex());
    call_.out.result(json_writer{}
                         .begin_object()
                         .field("message_type", "changed")
                         .field("old_snapshot_id", old.id)
                         .field("new_snapshot_id", now)
                         .end_object()
                         .take());
  }
  void on_error(const found_snapshot& old, const error& problem) override {
    call_.out.error("unable to modify the tags for snapshot ID \"" + old.id.hex() + "\", ignoring: " + problem.what());
  }

private:
  const context& call_;
};

void print_summary(const context& call, const tag_result& result) {
  if (call.options.json)
    return call.out.result(json_writer{}
                               .begin_object()
                               .field("message_type", "summary")
                               .field("changed_snapshots", result.changed)
                               .end_object()
                               .take());
  call.out.info(result.changed == 0 ? "no snapshots were modified"
                                    : "modified " + std::to_string(result.changed) + " snapshots");
}

/// By what was given: `--add ""` changes nothing, and is no mistake to restic.
void check(const tag_flags& flags) {
  const bool adds_or_removes = !flags.add.empty() || !flags.remove.empty();
  if (flags.set.empty() && !adds_or_removes) throw error(error_code::invalid_argument, "nothing to do!");
  if (!flags.set.empty() && adds_or_removes)
    throw error(error_code::invalid_argument, "--set and --add/--remove cannot be given at the same time");
}

void run(context& call, const tag_flags& flags) {
  check(flags);
  tag_options options;
  options.snapshots = call.arguments;
  options.filter = flags.choice.filter();
  if (!flags.set.empty()) options.set = flatten(flags.set);
  options.add = flatten(flags.add);
  options.remove = flatten(flags.remove);

  call.out.info("create exclusive lock for repository");
  session open(call, lock_mode::exclusive);
  options.stop = open.token();
  tag_printer printer(call);
  const auto result = change_tags(open.repo(), options, printer);
  print_summary(call, result);
  if (result.errors != 0)
    throw error(error_code::failure,
                std::to_string(result.errors) + (result.errors == 1 ? " snapshot" : " snapshots") + " could not be changed");
}

}  // namespace

void add_tag_command(command_tree& tree) {
  auto& command = tree.add(tree.root, "tag", "[flags] [snapshotID ...]", "Modify tags on snapshots");
  command.details =
      "Replaces the tags of the given snapshots, or of all that match the filters, or adds tags to them and removes\n"
      "tags from them. A snapshot with other tags has another ID; it remembers the first one.\n";
  const auto flags = std::make_shared<tag_flags>();
  auto& app = *command.app;
  const std::string many = " (can be specified multiple times)";
  add_list(app, "--set", flags->set, "tags which will replace the existing tags" + many, "tag[,tag,...]");
  add_list(app, "--add", flags->add, "tags which will be added to the existing tags" + many, "tag[,tag,...]");
  add_list(app, "--remove", flags->remove, "tags which will be removed from the existing tags" + many,
           "tag[,tag,...]");
  add_snapshot_flags(app, flags->choice, snapshot_choice::many);
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
