// SPDX-License-Identifier: Apache-2.0
//
// The manifests as people and programs read them: schemas that say what each field is, bound what
// is written and have the fields of our structs; FlowSchemas that win over the built-in ones.
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/api/operation.h"
#include "common/api/request.h"
#include "common/api/source.h"

namespace longshore::api {
namespace {

std::string Path(const std::string& file) {
  return std::string(LONGSHORE_SOURCE_DIR) + "/manifests/" + file;
}

// A CustomResourceDefinition of manifests/crds.
class Crd {
 public:
  // Called with "status.lease.epoch" or "status.conditions[].type", and the field's schema.
  using Visitor = std::function<void(const std::string& path, const YAML::Node& schema)>;

  explicit Crd(const std::string& plural)
      : version_(YAML::LoadFile(Path("crds/" + plural + ".yaml"))["spec"]["versions"][0]) {}

  // Every field below spec and status, and these two. What all objects have, the API server
  // describes.
  void Visit(const Visitor& visitor) const {
    const YAML::Node properties = version_["schema"]["openAPIV3Schema"]["properties"];
    for (const char* part : {"spec", "status"}) {
      if (properties[part]) VisitField(part, properties[part], visitor);
    }
  }
  std::set<std::string> Fields() const {
    std::set<std::string> fields;
    Visit([&](const std::string& path, const YAML::Node&) { fields.insert(path); });
    return fields;
  }
  YAML::Node selectable() const { return version_["selectableFields"]; }

 private:
  static void VisitField(const std::string& path, const YAML::Node& schema,
                         const Visitor& visitor) {
    visitor(path, schema);
    VisitProperties(path, schema, visitor);
    if (schema["items"]) VisitProperties(path + "[]", schema["items"], visitor);
  }
  static void VisitProperties(const std::string& path, const YAML::Node& schema,
                              const Visitor& visitor) {
    for (const auto& property : schema["properties"]) {
      VisitField(path + "." + property.first.as<std::string>(), property.second, visitor);
    }
  }

  YAML::Node version_;
};

// The fields that a struct's Describe names, as paths like those of Crd.
class FieldNames {
 public:
  [[maybe_unused]] static constexpr bool kReading = true;  // as archives say it to Describe

  template <class T>
  static std::set<std::string> Of(const std::string& path) {
    FieldNames names;
    names.fields_.insert(path);
    names.Below<T>(path);
    return std::move(names.fields_);
  }
  template <class T>
  void operator()(const char* name, T&) {
    const std::string path = path_ + "." + name;
    fields_.insert(path);
    Below<T>(path);
  }

 private:
  template <class T>
  struct Element {};
  template <class T>
  struct Element<std::optional<T>> {
    using type = T;
    static constexpr const char* kSuffix = "";
  };
  template <class T>
  struct Element<std::vector<T>> {
    using type = T;
    static constexpr const char* kSuffix = "[]";
  };

  template <class T>
  void Below(const std::string& path) {
    if constexpr (requires { typename Element<T>::type; }) {
      Below<typename Element<T>::type>(path + Element<T>::kSuffix);
    } else if constexpr (requires(FieldNames& names, T& value) { Describe(names, value); }) {
      const std::string before = std::exchange(path_, path);
      T value;
      Describe(*this, value);
      path_ = before;
    }
  }

  std::string path_;
  std::set<std::string> fields_;
};

struct Kind {
  const char* plural;
  std::function<std::set<std::string>()> fields;  // of our structs
};

template <class Spec, class ObjStatus>
std::set<std::string> FieldsOf(const Object<Spec, ObjStatus>*) {
  std::set<std::string> fields = FieldNames::Of<Spec>("spec");
  if constexpr (!std::is_same_v<ObjStatus, EmptyStatus>) {
    fields.merge(FieldNames::Of<ObjStatus>("status"));
  }
  return fields;
}
template <class T>
Kind KindOf(const char* plural) {
  return {plural, [] { return FieldsOf(static_cast<const T*>(nullptr)); }};
}

class CrdTest : public testing::TestWithParam<Kind> {};

// `kubectl explain` is the manual of most who use them.
TEST_P(CrdTest, SaysWhatEachFieldIs) {
  Crd(GetParam().plural).Visit([](const std::string& path, const YAML::Node& schema) {
    const YAML::Node text = schema["description"];
    EXPECT_TRUE(text && text.as<std::string>().size() > 5) << path << " needs a description";
  });
}

// A status grows with nothing that somebody else says, but for what a worker says of its copy: a
// bound there would have the API server refuse the result, and the operation never end.
TEST_P(CrdTest, BoundsTheTextOfItsStatus) {
  const std::set<std::string> of_workers = {
      "status.progress.phase",      "status.copy.dataSnapshot", "status.copy.recordSnapshot",
      "status.copy.manifestDigest", "status.copy.recordDigest", "status.copy.sourceVersion",
      "status.copy.toolVersion",    "status.copy.position",
  };
  Crd(GetParam().plural).Visit([&](const std::string& path, const YAML::Node& schema) {
    if (!path.starts_with("status.") || schema["type"].as<std::string>() != "string") return;
    const bool bounded = schema["maxLength"] || schema["enum"] || schema["format"];
    EXPECT_TRUE(bounded || of_workers.contains(path)) << path << " needs a maxLength";
  });
}

TEST_P(CrdTest, HasTheFieldsOfItsStruct) {
  const std::set<std::string> ours = GetParam().fields();
  std::set<std::string> theirs = Crd(GetParam().plural).Fields();
  // Kept for a spec that may change some day.
  if (!ours.contains("status.observedGeneration")) theirs.erase("status.observedGeneration");
  for (const std::string& path : ours) {
    EXPECT_TRUE(theirs.contains(path)) << path << " is in the struct only: it would be pruned";
  }
  for (const std::string& path : theirs) {
    EXPECT_TRUE(ours.contains(path)) << path << " is in the schema only: nobody reads it";
  }
}

// What names something and can be no name of it, is refused at once instead of never being found.
struct NameKind {
  std::vector<std::string> fields;
  size_t longest;
  std::vector<std::string> names, others;
};
const NameKind kNames[] = {
    {{"name", "nodeName", "persistentVolumeClaim", "serviceAccountName", "priorityClassName",
      "candidateNodes"},
     253,
     {"a", "node-1.eu.example", "10", "a--b"},
     {"Node 1", "Node-1", "a_b", "-a", "a-", "a.", "a..b", ".a", "a\n", "*"}},
    {{"namespace", "service", "allowedNamespaces"},
     63,
     {"a", "db-1", "10"},
     {"Db", "d b", "a.b", "-a", "a-", "a\n", "*"}},
    {{"rack", "zone", "region"}, 63, {"Zone-A", "eu_1.b", "1"}, {"Zone A", "-a", "a-", "_", "a/b"}},
    {{"key"}, 253, {"ca.crt", "CA_1", "password"}, {"ca crt", "a/b", "a\n"}},
    {{"kind"}, 63, {"StatefulSet", "statefulset", "postgresql"}, {"Stateful Set", "a/b", "1"}},
};

TEST_P(CrdTest, TakesForANameOnlyWhatCanBeOne) {
  Crd(GetParam().plural).Visit([](const std::string& path, const YAML::Node& schema) {
    // A taint's key has a slash, and what is listed already is checked better.
    const bool is_list = schema["items"].IsDefined();
    const YAML::Node text = is_list ? schema["items"] : schema;
    if (!path.starts_with("spec.") || text["enum"] || path == "spec.tolerations[].key") return;
    const std::string field = path.substr(path.rfind('.') + 1);
    for (const NameKind& kind : kNames) {
      if (std::find(kind.fields.begin(), kind.fields.end(), field) == kind.fields.end()) continue;
      ASSERT_TRUE(text["pattern"] && text["maxLength"]) << path;
      EXPECT_LE(text["maxLength"].as<size_t>(), kind.longest) << path;
      const std::regex pattern(text["pattern"].as<std::string>());
      for (const std::string& name : kind.names) {
        // Kinds of sources and images are words of ours.
        if (path == "spec.kind" && name != "postgresql") continue;
        EXPECT_TRUE(std::regex_search(name, pattern)) << path << " " << name;
      }
      for (const std::string& other : kind.others) {
        if (path == "spec.kind" && other == "1") continue;
        EXPECT_FALSE(std::regex_search(other, pattern)) << path << " " << other;
      }
      // Our own programs write "" for what is not set.
      const bool required = is_list || text["minLength"];
      EXPECT_EQ(std::regex_search(std::string(), pattern), !required) << path;
    }
  });
}

// Else the API server refuses the whole definition.
TEST_P(CrdTest, SelectsByTextThatThereIs) {
  const Crd crd(GetParam().plural);
  std::set<std::string> texts;
  crd.Visit([&](const std::string& path, const YAML::Node& schema) {
    if (schema["type"].as<std::string>() == "string") texts.insert("." + path);
  });
  for (const auto& field : crd.selectable()) {
    const auto path = field["jsonPath"].as<std::string>();
    EXPECT_TRUE(texts.contains(path)) << path;
  }
}

INSTANTIATE_TEST_SUITE_P(Each, CrdTest,
                         testing::Values(KindOf<BackupSource>("backupsources"),
                                         KindOf<SourceImage>("sourceimages"),
                                         KindOf<PodPolicy>("podpolicies"),
                                         KindOf<BackupRepository>("backuprepositories"),
                                         KindOf<ComputeRequest>("computerequests"),
                                         KindOf<BackupPod>("backuppods"),
                                         KindOf<Operation>("operations")),
                         [](const auto& instance) { return instance.param.plural; });

TEST(ManifestsTest, OtherServiceAccountsCallsComeAfterOurs) {
  constexpr int kBuiltInForServiceAccounts = 9000;  // "service-accounts", level workload-low
  std::set<std::string> accounts;
  for (const char* daemon : {"controller", "extender", "scheduler"}) {
    for (const YAML::Node& object :
         YAML::LoadAllFromFile(Path("base/" + std::string(daemon) + "/rbac.yaml"))) {
      if (object["kind"].as<std::string>() != "ServiceAccount") continue;
      accounts.insert(object["metadata"]["name"].as<std::string>());
    }
  }
  std::map<std::string, int> precedence;  // by priority level
  for (const YAML::Node& schema : YAML::LoadAllFromFile(Path("base/controller/flow-schema.yaml"))) {
    const YAML::Node spec = schema["spec"];
    const auto level = spec["priorityLevelConfiguration"]["name"].as<std::string>();
    precedence[level] = spec["matchingPrecedence"].as<int>();
    EXPECT_LT(precedence[level], kBuiltInForServiceAccounts);
    for (const auto& rule : spec["rules"]) {
      for (const auto& subject : rule["subjects"]) {
        EXPECT_TRUE(accounts.contains(subject["serviceAccount"]["name"].as<std::string>()));
        EXPECT_EQ(subject["serviceAccount"]["namespace"].as<std::string>(), kSystemNamespace);
      }
    }
  }
  // A renewal of the Lease matches both: the level of its own has to come first.
  ASSERT_TRUE(precedence.contains("leader-election") && precedence.contains("workload-high"));
  EXPECT_LT(precedence["leader-election"], precedence["workload-high"]);
}

}  // namespace
}  // namespace longshore::api
