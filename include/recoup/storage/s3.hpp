// A repository in a bucket, laid out as restic's S3 backend does it: `<prefix>/data/ab/<id>`, no directory markers.
//
// S3 keeps the backend's promises by itself: an object appears whole or not at all, and is durable when PUT is answered.
// Every file but the config is named by its SHA-256, which is also what the signature of a PUT needs: the server checks
// that what arrived is what was meant, and nobody hashes twice.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/s3/bucket.hpp>
#include <recoup/s3/client.hpp>
#include <recoup/s3/endpoint.hpp>
#include <recoup/s3/location.hpp>
#include <recoup/s3/multipart.hpp>
#include <recoup/s3/object.hpp>
#include <recoup/storage/backend.hpp>
#include <recoup/storage/layout.hpp>

namespace recoup {

class s3_backend : public backend {
public:
  s3_backend(std::shared_ptr<s3_client> client, s3_location where)
      : client_(std::move(client)), where_(std::move(where)) {}

  [[nodiscard]] s3_client& client() const noexcept { return *client_; }

  [[nodiscard]] std::string location() const override { return where_.to_string(); }
  [[nodiscard]] unsigned connections() const override { return client_->connections(); }
  [[nodiscard]] unsigned connections_now() const override { return client_->connections_now(); }
  [[nodiscard]] bool is_worth_caching() const override { return true; }
  [[nodiscard]] bool reload_may_help(const stored_file&) override { return true; }

  /// Makes the bucket unless it is there. Nothing else is needed.
  void create() override {
    if (!bucket_exists(*client_, where_.bucket)) create_bucket(*client_, where_.bucket);
  }

  void save(const stored_file& file, byte_view content) override {
    put_options options;
    if (file.type != file_type::config) options.payload_hash = file.name.hex();
    // The few small files and the trees are read all the time; cold classes are for what hardly anybody reads.
    if (file.type == file_type::pack && !file.holds_trees) options.storage_class = client_->settings().storage_class;
    const auto what = "save " + file.describe();
    if (content.size() > largest_single_put)
      put_object_in_parts(*client_, object_of(file), content, options, what);
    else
      put_object(*client_, object_of(file), content, options, what, changes_of(file));
  }

  void load(const stored_file& file, std::uint64_t offset, byte_span into) override {
    if (into.empty()) {
      if (offset > size(file))
        throw error(error_code::damaged, "cannot load from offset " + std::to_string(offset) + " of " + file.describe() +
                                             " (" + describe(file) + "): it ends before");
      return;
    }
    get_object_range(*client_, object_of(file), offset, into, "load " + file.describe());
  }

  using backend::load_all;
  void load_all(const stored_file& file, bytes& content) override {
    get_object(*client_, object_of(file), content, "load " + file.describe(), manner_of(file));
  }

  [[nodiscard]] std::uint64_t size(const stored_file& file) override {
    return head_object(*client_, object_of(file), "find the size of " + file.describe(), manner_of(file)).size;
  }

  /// Succeeds if there is no such file, which S3 does not tell.
  void remove(const stored_file& file) override {
    delete_object(*client_, object_of(file), {}, "remove " + file.describe(), changes_of(file));
  }

  void list(file_type type, const std::function<void(const listed_file&)>& visit) override {
    list_options options;
    options.prefix = where_.key(directory_of(type)) + '/';
    options.use_version_1 = client_->settings().list_objects_v1;
    const auto start = options.prefix.size();
    const auto visit_object = [&](const listed_object& object) {
      auto name = std::string_view(object.key).substr(std::min(start, object.key.size()));
      if (type == file_type::pack) {
        // Only where it would be looked for: "ab/ab…".
        if (name.size() < 3 || name[2] != '/' || name.substr(0, 2) != name.substr(3, 2)) return;
        name.remove_prefix(3);
      }
      if (const auto id = id::parse(name)) visit({*id, object.info.size});
    };
    try {
      list_objects(*client_, where_.bucket, options, visit_object, {},
                   std::string("list the ") + (type == file_type::index ? "index file" : name_of(type)) + 's');
    } catch (const s3_error& problem) {
      if (problem.refusal().code != "NoSuchBucket") throw;  // no more than a missing directory
    }
  }

private:
  /// As restic: above this, parts (S3 itself takes 5 GiB at once). Packs never reach it.
  static constexpr std::size_t largest_single_put = std::size_t{200} << 20;

  [[nodiscard]] object_name object_of(const stored_file& file) const {
    return {where_.bucket, where_.key(relative_path(file))};
  }

  [[nodiscard]] std::string describe(const stored_file& file) const {
    return recoup::describe(client_->endpoint(), where_.bucket, object_of(file).key);
  }

  /// Locks do not wait behind packs: one that is not refreshed in time ends the whole backup.
  [[nodiscard]] static request_manner manner_of(const stored_file& file) noexcept {
    return {file.type == file_type::lock, false};
  }

  /// Whoever is interrupted still has to unlock, and has to know whether there is a lock.
  [[nodiscard]] static request_manner changes_of(const stored_file& file) noexcept {
    return {file.type == file_type::lock, file.type == file_type::lock};
  }

  const std::shared_ptr<s3_client> client_;
  const s3_location where_;
};

}  // namespace recoup
