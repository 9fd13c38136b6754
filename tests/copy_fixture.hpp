// What tests of copying have in common: an observer that remembers, and questions about two repositories.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <recoup/ops/copy.hpp>
#include <recoup/storage/fault.hpp>

#include "test_repository.hpp"

namespace recoup {

/// Keeps what a copy reports.
class recording_copy : public copy_observer {
public:
  void on_progress(copy_phase phase, std::uint64_t done, std::uint64_t total) override {
    progress[phase] = {done, total};
  }
  void on_skipped(const found_snapshot& source, const id& copy) override { skipped.emplace_back(source.id, copy); }
  void on_started(const found_snapshot& source) override { say("started", source.id); }
  void on_planned(const found_snapshot& source, const copy_plan& plan) override {
    say("planned", source.id);
    plans.push_back(plan);
  }
  void on_complete(const found_snapshot& source) override { say("complete", source.id); }
  void on_error(const id& source, const error& problem) override {
    say("error", source);
    errors.emplace_back(source, problem.what());
  }
  void on_batch(std::size_t snapshots) override { batches.push_back(snapshots); }
  void on_saved(const found_snapshot& source, const id&) override { say("saved", source.id); }

  std::map<copy_phase, std::pair<std::uint64_t, std::uint64_t>> progress;
  std::vector<std::pair<id, id>> skipped;
  std::vector<std::string> said;
  std::vector<copy_plan> plans;
  std::vector<std::pair<id, std::string>> errors;
  std::vector<std::size_t> batches;

private:
  void say(const char* what, const id& source) { said.push_back(std::string(what) + " " + source.short_hex()); }
};

using blob_names = std::set<std::pair<blob_type, id>>;

[[nodiscard]] inline blob_names blobs_in(repository& repo) {
  blob_names names;
  repo.index().for_each([&](const blob_location& place) {
    names.emplace(place.blob.handle.type, place.blob.handle.id);
  });
  return names;
}

/// No blob is stored twice, and no pack lies about that no index lists.
inline void expect_nothing_twice(const std::shared_ptr<backend>& storage) {
  const auto repo = open_repository(storage);
  std::map<std::pair<blob_type, id>, int> places;
  repo->index().for_each([&](const blob_location& place) {
    ++places[{place.blob.handle.type, place.blob.handle.id}];
  });
  for (const auto& [blob, count] : places) EXPECT_EQ(count, 1) << name_of(blob.first) << " blob " << blob.second.hex();
  for (const auto& file : repo->list(file_type::pack))
    EXPECT_TRUE(repo->index().contains_pack(file.name)) << "pack " << file.name.hex() << " is in no index";
}

/// The one copy of each snapshot of `source` is in `destination`, whole and with the same contents.
inline void expect_copied(const std::shared_ptr<backend>& source, const std::shared_ptr<backend>& destination) {
  const auto from = open_repository(source), to = open_repository(destination);
  std::map<id, std::vector<snapshot>> copies;
  for (auto& [name, made] : to->load_snapshots()) copies[original_of(name, made)].push_back(made);
  for (const auto& [name, original] : from->load_snapshots()) {
    const auto& found = copies[original_of(name, original)];
    ASSERT_EQ(found.size(), 1u) << name.hex();
    auto expected = original;
    expected.parent.reset();
    expected.original = original_of(name, original);
    EXPECT_EQ(encode_snapshot(found.front()), encode_snapshot(expected));
    EXPECT_EQ(all_of(*to, found.front().tree), all_of(*from, original.tree));
  }
}

}  // namespace recoup
