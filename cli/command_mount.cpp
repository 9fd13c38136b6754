#include <memory>
#include <string>
#include <vector>

#include "command.hpp"

#ifdef RECOUP_WITH_FUSE
#include <recoup/ops/mount/fuse_session.hpp>

#include "session.hpp"
#endif
#include "snapshot_flags.hpp"

namespace recoup::cli {

namespace {

struct mount_flags {
  snapshot_flags choice;
  bool allow_other = false, no_default_permissions = false, owner_root = false;
  std::vector<std::string> path_templates;
  std::string time_template = "2006-01-02T15:04:05Z07:00";
};

void require_sensible(const context& call, const mount_flags& flags) {
  const auto& time = flags.time_template;
  if (time.empty()) throw error(error_code::invalid_argument, "time template string cannot be empty");
  if (time.starts_with('/') || time.ends_with('/'))
    throw error(error_code::invalid_argument, "time template string cannot start or end with '/'");
  if (call.arguments.empty()) throw error(error_code::invalid_argument, "wrong number of parameters");
}

#ifdef RECOUP_WITH_FUSE

mount_options options_of(const mount_flags& flags) {
  mount_options options;
  options.filter = flags.choice.filter();
  options.owner_root = flags.owner_root;
  options.templates.time = flags.time_template;
  if (!flags.path_templates.empty()) options.templates.paths = flags.path_templates;
  return options;
}

/// Before anything is opened, because that may take a while.
void require_place(const context& call, const std::string& mount_point) {
  require_mount_point(mount_point);
  auto location = call.options.location();
  if (location.starts_with("s3:")) return;
  constexpr std::string_view local = "local:";
  if (location.starts_with(local)) location.erase(0, local.size());
  require_apart(mount_point, location);
}

/// Somebody who waits for an answer from far away must not keep others from theirs.
unsigned threads_for(const repository& repo) { return working_threads(repo.storage(), 16) + 8; }

void serve(context& call, session& open, const mount_flags& flags) {
  const auto& out = call.out;
  const auto& mount_point = call.arguments.front();
  out.result("Loading snapshots...");
  mounted_repository shown(open.share(), options_of(flags));
  fuse_mount_options how;
  how.source = "recoup:" + open.repo().config().id.substr(0, 10);
  how.allow_other = flags.allow_other;
  how.default_permissions = flags.allow_other && !flags.no_default_permissions;
  fuse_session mounted(shown, mount_point, how);
  out.result("Now serving the repository at " + mount_point);
  out.result("Use another terminal or tool to browse the contents of this folder.");
  out.result("When finished, quit with Ctrl-c here or umount the mountpoint.");
  call.ends_by_signal = true;
  mounted.serve(open.token(), threads_for(open.repo()), [&](const std::string& reason) {
    out.error("unable to umount (maybe already umounted or still in use?): " + reason +
              "\nIt is detached: programs that still use it get errors from now on.");
  });
}

void run(context& call, const mount_flags& flags) {
  require_sensible(call, flags);
  require_place(call, call.arguments.front());
  session open(call, settling_meanwhile(unless_no_lock(call, lock_mode::shared)),
               [](session& opened) { opened.load_index(); });
  try {
    open.under_lock([&] {
      serve(call, open, flags);
      return true;
    });
  } catch (const error& problem) {
    // Asked to end while others still had to see the lock: storage far away then says that it was interrupted.
    if (problem.code() != error_code::interrupted || !call.ends_by_signal) throw;
  }
  if (open.token().stop_requested() && !call.signals.token().stop_requested())
    throw error(error_code::failure, "unmounted " + call.arguments.front() + ": the lock on the repository was lost");
}

#else

void run(context& call, const mount_flags& flags) {
  require_sensible(call, flags);
  throw error(error_code::unsupported,
              "this recoup was built without FUSE, so it cannot mount anything: install libfuse 3's headers (Debian and "
              "Ubuntu: apt-get install libfuse3-dev fuse3), then configure and build recoup again; `restore` and `dump` "
              "work without it");
}

#endif

}  // namespace

void add_mount_command(command_tree& tree) {
  auto& command = tree.add(tree.root, "mount", "[flags] mountpoint", "Mount the repository");
  command.details =
      "Shows the repository's snapshots as directories, read-only, through FUSE, until the mount point is unmounted or\n"
      "the command is interrupted. Snapshots that come meanwhile appear within a minute.\n"
      "\n"
      "Which directories there are is said by --path-template, where these are replaced:\n"
      "    %i by the short snapshot ID      %I by the long one\n"
      "    %u by the user's name            %h by the host's name\n"
      "    %t by the tags, one after the other\n"
      "    %T by the time, in the form of --time-template\n"
      "Without it there are ids/%i, snapshots/%T, hosts/%h/%T and tags/%t/%T. Where a template ends with the time there\n"
      "is a link \"latest\" too.\n"
      "\n"
      "--time-template is a sample that shows the time Mon Jan 2 15:04:05 -0700 MST 2006, as Go's time.Format wants it.\n"
      "Without colons, say: --time-template 2006-01-02_15-04-05\n"
      "\n"
      "Users other than root need the program fusermount3 (Debian and Ubuntu: package fuse3), and for --allow-other\n"
      "the line user_allow_other in /etc/fuse.conf.\n";
  const auto flags = std::make_shared<mount_flags>();
  auto& app = *command.app;
  add_switch(app, "--owner-root", flags->owner_root, "use 'root' as the owner of files and dirs");
  add_switch(app, "--allow-other", flags->allow_other, "allow other users to access the data in the mounted directory");
  add_switch(app, "--no-default-permissions", flags->no_default_permissions,
             "for 'allow-other', ignore Unix permissions and allow users to read all snapshot files");
  add_list(app, "--path-template", flags->path_templates,
           "set template for path names (can be specified multiple times)", "template");
  add_text(app, "--time-template", flags->time_template,
           "set template to use for times (default: 2006-01-02T15:04:05Z07:00)", "template");
  hidden(add_text(app, "--snapshot-template", flags->time_template, "use --time-template", "template"));
  add_snapshot_flags(app, flags->choice, snapshot_choice::many);
  command.run = [flags](context& call) { run(call, *flags); };
}

}  // namespace recoup::cli
