// A repository: blobs by content, small sealed files (index, snapshots, locks) by hash, and the keys that open both.
//
//   auto repo = recoup::repository::open(recoup::open_backend("/srv/backup"), "password");
//   repo->load_index();
//   recoup::bytes content = repo->load_blob({recoup::blob_type::data, id});
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include <recoup/chunker/polynomial.hpp>
#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/repo/blob_codec.hpp>
#include <recoup/repo/blob_index.hpp>
#include <recoup/repo/blob_saver.hpp>
#include <recoup/repo/config.hpp>
#include <recoup/repo/index_file.hpp>
#include <recoup/repo/keys.hpp>
#include <recoup/repo/marked_packs.hpp>
#include <recoup/repo/snapshot.hpp>
#include <recoup/repo/unpacked.hpp>
#include <recoup/storage/backend.hpp>
#include <recoup/storage/load_verified.hpp>
#include <recoup/storage/working_threads.hpp>

namespace recoup {

/// A sealed file may say that it is anything when decompressed; real indexes have some 10 MiB.
inline constexpr std::size_t max_unpacked_size = std::size_t{512} << 20;

struct repository_options {
  compression mode = compression::automatic;
  std::size_t pack_size = std::size_t{16} << 20;  ///< a pack is closed once it is this long; 4 to 128 MiB
  bool extra_verify = true;                       ///< see codec_options
  std::string key_hint;                           ///< id or prefix of the key to try first
  /// Things that are wrong but do not stop the work, such as a key file that cannot be read. Called from any thread, and
  /// from several at once.
  std::function<void(const std::string&)> on_warning = [](const std::string&) {};
};

struct create_options {
  unsigned version = 2;
  std::optional<polynomial> chunker_polynomial;  ///< random unless given; the same one makes copies deduplicate
  std::optional<scrypt_parameters> kdf;          ///< calibrated to this machine unless given
  std::string username, hostname;                ///< noted in the key file
};

/// A file as it is to be stored.
struct sealed_file {
  stored_file file;
  bytes content;
};

/// Puts something between a repository that is being opened and its storage: a cache needs the repository's id.
using storage_preparation =
    std::function<std::shared_ptr<backend>(std::shared_ptr<backend> storage, const repository_config& config)>;

/// Called from any thread, but only from one at a time.
struct index_load_observer {
  std::function<void(std::size_t done, std::size_t total)> on_progress;
  std::function<void(const id& index, const error&)> on_damaged;
  std::function<void(const id& index, const indexed_pack&)> on_pack;
};

/// Members may be called from any thread unless they say otherwise.
class repository {
public:
  /// Makes a new repository. The key is written first and the config last, so that an interrupted attempt leaves
  /// something that nobody takes for a repository. Throws if one is there already.
  [[nodiscard]] static std::shared_ptr<repository> create(std::shared_ptr<backend> storage, std::string_view password,
                                                          const create_options& choice = {},
                                                          const repository_options& options = {});

  /// The last step of create(), for whoever goes on with a creation that was interrupted before it: the storage is made, and
  /// `key` is stored in it.
  [[nodiscard]] static std::shared_ptr<repository> create_config(std::shared_ptr<backend> storage, opened_key key,
                                                                 const create_options& choice,
                                                                 const repository_options& options);

  /// Throws repository_missing, wrong_password, damaged or unsupported. `prepare_storage` is called once the config is
  /// known, and what it gives back is used from then on: see open_cached().
  [[nodiscard]] static std::shared_ptr<repository> open(std::shared_ptr<backend> storage, std::string_view password,
                                                        const repository_options& options = {},
                                                        const storage_preparation& prepare_storage = {}) {
    auto sealed_config = load_sealed_config(*storage);
    return open(std::move(storage), std::move(sealed_config), password, options, prepare_storage);
  }

  /// In two steps, for those who want to know whether there is a repository before they ask anybody for a password.
  [[nodiscard]] static bytes load_sealed_config(backend& storage);
  [[nodiscard]] static std::shared_ptr<repository> open(std::shared_ptr<backend> storage, bytes sealed_config,
                                                        std::string_view password, const repository_options& options,
                                                        const storage_preparation& prepare_storage);

  repository(std::shared_ptr<backend> storage, opened_key key, repository_config config,
             const repository_options& options)
      : storage_(std::move(storage)), key_(std::move(key)), config_(std::move(config)), options_(options),
        codecs_(key_.master, {config_.version, options.mode, options.extra_verify}),
        saver_(*storage_, key_.master, codecs_, index_, options.pack_size,
               [this](const std::string& json) { save_unpacked(file_type::index, json); }) {}

  repository(const repository&) = delete;
  repository& operator=(const repository&) = delete;

  [[nodiscard]] const repository_config& config() const noexcept { return config_; }
  [[nodiscard]] backend& storage() const noexcept { return *storage_; }
  [[nodiscard]] const std::shared_ptr<backend>& share_storage() const noexcept { return storage_; }
  [[nodiscard]] const id& key_id() const noexcept { return key_.id; }
  [[nodiscard]] const box_key& master_key() const noexcept { return key_.master; }
  [[nodiscard]] const repository_options& options() const noexcept { return options_; }
  [[nodiscard]] codec_pool& codecs() noexcept { return codecs_; }
  void warn(const std::string& message) const { options_.on_warning(message); }

  // --- the index ---

  /// Reads all index files; later calls do nothing. A damaged index file is an error unless the observer takes it; nothing
  /// of it gets into the index then.
  void load_index(const index_load_observer& observer = {});

  /// Reads index files that came since.
  void refresh_index(const index_load_observer& observer = {});

  /// Gives back the index's memory. load_index() then reads all files, as if they had not been read. Nobody else may use
  /// the index meanwhile, and what was saved must have been flushed.
  void drop_index();

  [[nodiscard]] blob_index& index() noexcept { return index_; }
  [[nodiscard]] const blob_index& index() const noexcept { return index_; }
  /// Packs that index files mark for deletion.
  [[nodiscard]] const marked_packs& marked() const noexcept { return marked_; }
  /// The index files that were read.
  [[nodiscard]] std::unordered_set<id> loaded_indexes() {
    const std::lock_guard lock(index_load_mutex_);
    return loaded_indexes_;
  }

  // --- blobs; load_index() must have been called ---

  /// Reads one blob, trying each copy of it. Throws not_found if no index lists it, damaged if no copy is intact.
  [[nodiscard]] bytes load_blob(const blob_handle& handle);
  [[nodiscard]] bytes load_blob(blob_type type, const id& name) { return load_blob({type, name}); }

  /// Calls `use(const blob_location&)` with one copy after the other until it does not throw. Throws as load_blob() does.
  template <class Use>
  void with_intact_copy(const blob_handle& handle, Use&& use);

  /// Stores a blob unless it is known or on its way already. It is durable only after flush().
  saved_blob save_blob(blob_type type, byte_view plaintext) {
    saved_blob result;
    saver_.save(type, std::span(&plaintext, 1), std::span(&result, 1));
    return result;
  }

  /// The same for some blobs at once, which hashes them faster: results[i] is for plaintexts[i]. At least one, and no more
  /// than blob_saver::most_at_once.
  void save_blobs(blob_type type, std::span<const byte_view> plaintexts, std::span<saved_blob> results) {
    saver_.save(type, plaintexts, results);
  }

  /// The same for a blob of another repository, verified there. Its compressed form is taken over if this repository
  /// would compress it too, unless `options().mode` names a level.
  saved_blob save_blob(const blob_handle& handle, const opened_blob& blob) { return saver_.save(handle, blob); }

  /// True if a blob is stored already, or on its way to a pack since the last flush().
  [[nodiscard]] bool has_blob(const blob_handle& handle) { return saver_.has(handle); }

  /// Waits until every blob saved so far is durable and indexed. If it throws, blobs saved since the last flush may
  /// have to be saved again; also after save_blob() threw, this must be called before blobs count as stored. Not at the
  /// same time as save_blob().
  void flush() { saver_.flush(); }

  // --- small files: index, snapshot, lock ---

  /// The JSON in a sealed file. Throws damaged if the file's hash is not its name or its MAC is wrong.
  [[nodiscard]] bytes load_unpacked(file_type type, const id& name);

  /// Compresses and encrypts; the name is the SHA-256 of what is to be stored.
  [[nodiscard]] sealed_file seal_unpacked(file_type type, std::string_view json);

  /// Seals and stores. Returns the name.
  id save_unpacked(file_type type, std::string_view json);

  void remove(file_type type, const id& name) { storage_->remove({type, name}); }

  /// All files of a type with their sizes, ordered by name.
  [[nodiscard]] std::vector<listed_file> list(file_type type) const;

  [[nodiscard]] snapshot load_snapshot(const id& name) {
    return decode_snapshot(load_unpacked(file_type::snapshot, name));
  }
  id save_snapshot(const snapshot& value) { return save_unpacked(file_type::snapshot, encode_snapshot(value)); }

  /// All snapshots, oldest first. One that cannot be read goes to `on_unreadable`; without that it is an error.
  [[nodiscard]] std::vector<std::pair<id, snapshot>> load_snapshots(
      const std::function<void(const id&, const error&)>& on_unreadable = {});

private:
  static void require_listed(backend& storage, const stored_file& file);
  [[nodiscard]] bool load_new_indexes(const index_load_observer& observer, bool& is_complete);
  std::vector<indexed_pack> load_index_file(const id& name);

  const std::shared_ptr<backend> storage_;
  const opened_key key_;
  const repository_config config_;
  const repository_options options_;
  codec_pool codecs_;

  std::mutex index_load_mutex_;
  std::atomic<bool> index_loaded_{false};
  std::unordered_set<id> loaded_indexes_;
  blob_index index_;
  marked_packs marked_;

  blob_saver saver_;  // last: its threads use what is above
};

// ---------------------------------------------------------------------------------------------------------------------

/// Some storage takes files that it then does not list: MinIO, below a prefix that begins with a slash. A repository there
/// could never be opened again.
inline void repository::require_listed(backend& storage, const stored_file& file) {
  bool is_listed = false;
  storage.list(file.type, [&](const listed_file& each) { is_listed = is_listed || each.name == file.name; });
  if (is_listed) return;
  storage.remove(file);
  throw error(error_code::failure, "cannot make a repository at " + storage.location() + ": the server has taken " +
                                       file.describe() + " but does not list it; choose another place, in S3 one without "
                                       "empty parts between slashes");
}

inline std::shared_ptr<repository> repository::create(std::shared_ptr<backend> storage, std::string_view password,
                                                      const create_options& choice, const repository_options& options) {
  initialise_sodium();
  const auto refuse = [&](const char* what) {
    return error(error_code::failure,
                 std::string("cannot make a repository at ") + storage->location() + ": " + what +
                     " already exists there; choose another place, or open the repository that is there");
  };
  if (choice.version < 1 || choice.version > 2)
    throw error(error_code::unsupported, "repository version " + std::to_string(choice.version) +
                                             " is not known; use 1 or 2");
  try {
    (void)storage->size({file_type::config});
    throw refuse("a config file");
  } catch (const error& problem) {
    if (problem.code() != error_code::not_found) throw;
  }
  for (const auto type : {file_type::key, file_type::snapshot})
    if (holds_any(*storage, type)) throw refuse(type == file_type::key ? "a key file" : "a snapshot");
  storage->create();
  auto master = box_key::random();
  const auto key_id = add_key(*storage, master, password, choice.username, choice.hostname,
                              choice.kdf ? *choice.kdf : calibrated());
  require_listed(*storage, {file_type::key, key_id});
  return create_config(std::move(storage), opened_key{key_id, std::move(master)}, choice, options);
}

inline std::shared_ptr<repository> repository::create_config(std::shared_ptr<backend> storage, opened_key key,
                                                             const create_options& choice,
                                                             const repository_options& options) {
  repository_config config;
  config.version = choice.version;
  std::array<std::uint8_t, id::size> random{};
  random_bytes(random);
  config.id = to_hex(random);
  config.chunker_polynomial = choice.chunker_polynomial ? *choice.chunker_polynomial : polynomial::random();
  box sealer(key.master);
  storage->save({file_type::config}, sealer.seal(as_bytes(encode_config(config))));
  return std::make_shared<repository>(std::move(storage), std::move(key), std::move(config), options);
}

inline bytes repository::load_sealed_config(backend& storage) {
  try {
    return storage.load_all({file_type::config});
  } catch (const error& problem) {
    if (problem.code() != error_code::not_found) throw;
    throw error(error_code::repository_missing,
                std::string("repository does not exist: unable to open config file: ") + problem.what() +
                    "\nIs there a repository at the following location?\n" + storage.location());
  }
}

inline std::shared_ptr<repository> repository::open(std::shared_ptr<backend> storage, bytes sealed_config,
                                                    std::string_view password, const repository_options& options,
                                                    const storage_preparation& prepare_storage) {
  initialise_sodium();
  auto key = find_key(*storage, password, options.key_hint, options.on_warning);
  const stored_file config_file{file_type::config};
  bool is_loaded = true;
  const auto read_config = [&] {
    if (!std::exchange(is_loaded, false)) sealed_config = storage->load_all(config_file);
    if (sealed_config.size() < box_overhead) throw error(error_code::damaged, "the file is too short");
    box opener(key.master);
    return decode_config(opener.open(sealed_config));
  };
  std::optional<repository_config> config;
  try {
    config = load_verified(*storage, config_file, read_config);
  } catch (const error& problem) {
    throw error(problem.code(), std::string("config file: ") + problem.what());
  }
  if (prepare_storage) storage = prepare_storage(std::move(storage), *config);
  return std::make_shared<repository>(std::move(storage), std::move(key), std::move(*config), options);
}

inline void repository::load_index(const index_load_observer& observer) {
  if (!index_loaded_) refresh_index(observer);
}

inline void repository::drop_index() {
  const std::lock_guard one_at_a_time(index_load_mutex_);
  index_loaded_ = false;
  loaded_indexes_.clear();
  // In place, because others have references to both.
  std::destroy_at(&index_);
  std::construct_at(&index_);
  std::destroy_at(&marked_);
  std::construct_at(&marked_);
}

inline void repository::refresh_index(const index_load_observer& observer) {
  const std::lock_guard one_at_a_time(index_load_mutex_);
  bool is_complete = true;
  while (!load_new_indexes(observer, is_complete)) {
    // A prune that needs nobody's absence has replaced some of them: what they said is in new ones.
  }
  // Only the first time: later, packs that this program stored itself may be in no index yet.
  if (is_complete && !index_loaded_)
    storage_->forget_packs_other_than(
        [this](const id& pack) { return index_.contains_pack(pack) || marked_.contains(pack); });
  index_loaded_ = true;
}

/// Returns what counts in the file, and adds what is marked in it.
inline std::vector<indexed_pack> repository::load_index_file(const id& name) {
  std::vector<indexed_pack> packs, marked;
  std::vector<std::pair<id, pack_mark>> marks;
  const auto require_version = [this](const indexed_pack& pack) {
    if (config_.version < 2 && std::ranges::any_of(pack.blobs, &packed_blob::is_compressed))
      throw error(error_code::damaged, "it lists a compressed blob, which a repository of version 1 cannot hold");
  };
  decode_index(
      load_unpacked(file_type::index, name),
      [&](const indexed_pack& pack) {
        require_version(pack);
        packs.push_back(pack);
      },
      [&](const marked_pack& pack) {
        require_version(pack.listing);
        marked.push_back(pack.listing);
        marks.emplace_back(pack.listing.pack, pack.mark);
      });
  if (!marked.empty()) index_.add_marked(marked);
  for (const auto& [pack, mark] : marks) marked_.add(pack, mark);
  return packs;
}

/// False if files went meanwhile, so that it has to be done again.
inline bool repository::load_new_indexes(const index_load_observer& observer, bool& is_complete) {
  auto files = list(file_type::index);
  std::erase_if(files, [this](const listed_file& file) { return loaded_indexes_.contains(file.name); });
  std::mutex report;
  std::size_t done = 0;
  std::vector<id> gone;
  // From the files so far the index learns how large it will be, so that it need not grow again and again.
  std::uint64_t bytes_left = 0, bytes_read = 0, blobs_read = 0;
  for (const auto& file : files) bytes_left += file.size;
  const auto expected_blobs = [&](const listed_file& file, std::size_t blobs) {
    const std::lock_guard lock(report);
    bytes_read += file.size;
    blobs_read += blobs;
    bytes_left -= file.size;
    const auto per_byte = static_cast<double>(blobs_read) / static_cast<double>(std::max<std::uint64_t>(bytes_read, 1));
    return index_.size() + blobs + static_cast<std::size_t>(static_cast<double>(bytes_left) * per_byte);
  };
  // An index of 50,000 blobs takes some 15 MiB while it is read.
  parallel_for_each(working_threads(*storage_, 8), files, [&](const listed_file& file) {
    try {
      const auto packs = load_index_file(file.name);
      std::size_t blobs = 0;
      for (const auto& pack : packs) blobs += pack.blobs.size();
      index_.add_packs(packs, expected_blobs(file, blobs));
      if (observer.on_pack) {
        const std::lock_guard lock(report);
        for (const auto& pack : packs) observer.on_pack(file.name, pack);
      }
    } catch (const error& problem) {
      const std::lock_guard lock(report);
      if (problem.code() == error_code::not_found) {
        gone.push_back(file.name);
        return;
      }
      if (!observer.on_damaged)
        throw error(problem.code(), "index " + file.name.hex() + ": " + problem.what() +
                                        "; `restic repair index` rebuilds it from the packs");
      is_complete = false;
      observer.on_damaged(file.name, problem);
    }
    const std::lock_guard lock(report);
    ++done;
    if (observer.on_progress) observer.on_progress(done, files.size());
  });
  for (const auto& file : files) loaded_indexes_.insert(file.name);
  if (gone.empty()) return true;
  for (const auto& name : gone) loaded_indexes_.erase(name);
  const auto listed = list(file_type::index);
  for (const auto& name : gone)
    if (std::ranges::any_of(listed, [&](const listed_file& file) { return file.name == name; }))
      throw error(error_code::failure, "index " + name.hex() + ": the storage lists it but does not have it; " +
                                           storage_->location() + " seems to be damaged");
  return false;
}

template <class Use>
void repository::with_intact_copy(const blob_handle& handle, Use&& use) {
  const auto places = index_.find_all(handle);
  const auto what = std::string(name_of(handle.type)) + " blob " + handle.id.hex();
  if (places.empty()) throw error(error_code::not_found, what + ": no index lists it");
  std::string problems;
  std::optional<error_code> code;  // of the first copy, but damage counts more than what trying again may mend
  for (const auto& place : places) {
    try {
      use(place);
      return;
    } catch (const error& problem) {
      const auto kind = problem.code() == error_code::not_found ? error_code::damaged : problem.code();
      if (!code || kind == error_code::damaged) code = kind;
      problems += (problems.empty() ? "" : "; ") + ("in pack " + place.pack.hex() + ": ") + problem.what();
    }
  }
  throw error(*code, what + ": " + problems);
}

inline bytes repository::load_blob(const blob_handle& handle) {
  auto codec = codecs_.take();
  bytes sealed, opened;
  with_intact_copy(handle, [&](const blob_location& place) {
    const stored_file pack{file_type::pack, place.pack, handle.type == blob_type::tree};
    load_verified(*storage_, pack, [&] {
      sealed.resize(place.blob.length);
      storage_->load(pack, place.blob.offset, sealed);
      codec->open(place.blob, sealed, opened);
    });
  });
  return opened;
}

inline bytes repository::load_unpacked(file_type type, const id& name) {
  const stored_file file{type, name};
  auto sealed = load_verified(*storage_, file, [&] {
    auto content = storage_->load_all(file);
    if (sha256(content) != name)
      throw error(error_code::damaged,
                  file.describe() + ": the content does not have the hash that the file is named by");
    return content;
  });
  if (sealed.size() < box_overhead) throw error(error_code::damaged, file.describe() + ": the file is too short");
  try {
    auto codec = codecs_.take();
    return decode_body(codec->box().open(sealed), max_unpacked_size, codec->decompressor());
  } catch (const error& problem) {
    throw error(problem.code(), file.describe() + ": " + problem.what());
  }
}

inline sealed_file repository::seal_unpacked(file_type type, std::string_view json) {
  auto codec = codecs_.take();
  const auto body = encode_body(config_.version, as_bytes(json), codec->compressor());
  auto sealed = codec->box().seal(body);
  if (!codec->opens_to(sealed, 0, body))
    throw error(error_code::damaged,
                std::string(name_of(type)) +
                    ": what was encrypted does not decrypt to what went in; test this machine's memory");
  const auto name = sha256(sealed);
  return {{type, name}, std::move(sealed)};
}

inline id repository::save_unpacked(file_type type, std::string_view json) {
  const auto sealed = seal_unpacked(type, json);
  storage_->save(sealed.file, sealed.content);
  return sealed.file.name;
}

inline std::vector<listed_file> repository::list(file_type type) const {
  std::vector<listed_file> files;
  storage_->list(type, [&](const listed_file& file) { files.push_back(file); });
  std::ranges::sort(files, {}, &listed_file::name);
  // Object stores may show a file twice when they are asked for a page again.
  const auto is_same = [](const listed_file& a, const listed_file& b) { return a.name == b.name; };
  files.erase(std::unique(files.begin(), files.end(), is_same), files.end());
  return files;
}

inline std::vector<std::pair<id, snapshot>> repository::load_snapshots(
    const std::function<void(const id&, const error&)>& on_unreadable) {
  const auto files = list(file_type::snapshot);
  std::mutex mutex;
  std::vector<std::pair<id, snapshot>> loaded;
  parallel_for_each(std::max(storage_->connections(), 2u), files, [&](const listed_file& file) {
    try {
      auto value = load_snapshot(file.name);
      const std::lock_guard lock(mutex);
      loaded.emplace_back(file.name, std::move(value));
    } catch (const error& problem) {
      const std::lock_guard lock(mutex);
      if (!on_unreadable) throw error(problem.code(), "snapshot " + file.name.hex() + ": " + problem.what());
      on_unreadable(file.name, problem);
    }
  });
  std::ranges::sort(loaded, [](const auto& a, const auto& b) {
    return same_instant(a.second.time, b.second.time) ? a.first < b.first : earlier(a.second.time, b.second.time);
  });
  return loaded;
}

}  // namespace recoup
