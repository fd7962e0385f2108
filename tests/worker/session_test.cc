// SPDX-License-Identifier: Apache-2.0
#include "worker/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longshore::worker {
namespace {

using messages::ControllerMessage;
using messages::OperationResult;
using messages::WorkerMessage;

ControllerMessage Assign(uint64_t epoch, const std::string& operation = "op-a") {
  ControllerMessage message;
  message.mutable_assign()->set_epoch(epoch);
  message.mutable_assign()->set_operation(operation);
  return message;
}
ControllerMessage Cancel(uint64_t epoch) {
  ControllerMessage message;
  message.mutable_cancel()->set_epoch(epoch);
  return message;
}
ControllerMessage Released(uint64_t epoch) {
  ControllerMessage message;
  message.mutable_released()->set_epoch(epoch);
  return message;
}
ControllerMessage Retire() {
  ControllerMessage message;
  message.mutable_retire();
  return message;
}
OperationResult Result(uint64_t epoch) {
  OperationResult result;
  result.set_epoch(epoch);
  result.set_operation("op-a");
  result.set_succeeded(true);
  return result;
}

// Actions in short: what a test wants to see at a glance.
std::string Short(const WorkerMessage& message) {
  switch (message.kind_case()) {
    case WorkerMessage::kHello: {
      const auto& hello = message.hello();
      std::string text = "hello last=" + std::to_string(hello.last_epoch());
      if (hello.running_epoch() != 0) {
        text +=
            " running=" + hello.running_operation() + "/" + std::to_string(hello.running_epoch());
      }
      return hello.gate_closed() ? text + " closed" : text;
    }
    case WorkerMessage::kAssignReply:
      return "reply " + std::to_string(message.assign_reply().epoch()) + " " +
             (message.assign_reply().accepted() ? "accepted" : message.assign_reply().reason());
    case WorkerMessage::kProgress:
      return "progress " + std::to_string(message.progress().epoch()) + " " +
             message.progress().phase();
    case WorkerMessage::kResult:
      return "result " + std::to_string(message.result().epoch());
    case WorkerMessage::kRetireReply:
      return message.retire_reply().accepted() ? "retired" : message.retire_reply().reason();
    case WorkerMessage::kIdle:
      return "idle";
    case WorkerMessage::KIND_NOT_SET:
      break;
  }
  return "nothing";
}
std::vector<std::string> Short(const Actions& actions) {
  std::vector<std::string> texts;
  for (const Action& action : actions) {
    if (const auto* send = std::get_if<SendMessage>(&action)) {
      texts.push_back(Short(send->message));
    } else if (const auto* start = std::get_if<StartOperation>(&action)) {
      texts.push_back("start " + start->assign.operation());
    } else if (const auto* cancel = std::get_if<CancelOperation>(&action)) {
      texts.push_back("cancel " + std::to_string(cancel->epoch));
    } else {
      texts.push_back("exit");
    }
  }
  return texts;
}

class SessionTest : public ::testing::Test {
 protected:
  using List = std::vector<std::string>;

  List Open() { return Short(session_.OnOpen()); }
  List Receive(const ControllerMessage& message) { return Short(session_.OnMessage(message)); }
  List Tick() {
    messages::Progress progress;
    progress.set_phase("Copying");
    return Short(session_.OnTick(progress));
  }
  List Finish(uint64_t epoch) { return Short(session_.OnFinished(Result(epoch))); }
  List Stop() { return Short(session_.OnStop()); }

  Session session_{{"1.0", "postgresql", {{"restic", "0.18.0"}}}};
};

TEST_F(SessionTest, SaysHelloWithItsTools) {
  const Actions actions = session_.OnOpen();
  const auto& hello = std::get<SendMessage>(actions.at(0)).message.hello();
  EXPECT_EQ(hello.version(), "1.0");
  EXPECT_EQ(hello.kind(), "postgresql");
  EXPECT_EQ(hello.tools().at("restic"), "0.18.0");
  EXPECT_EQ(hello.last_epoch(), 0u);
}

TEST_F(SessionTest, TakesAnAssignmentAndTellsItsResultUntilReleased) {
  EXPECT_EQ(Tick(), List{"idle"});
  EXPECT_EQ(Receive(Assign(7)), (List{"reply 7 accepted", "start op-a"}));
  EXPECT_EQ(Tick(), List{"progress 7 Copying"});
  EXPECT_EQ(Finish(7), List{"result 7"});
  EXPECT_EQ(Tick(), List{"result 7"});
  EXPECT_EQ(Tick(), List{"result 7"});
  EXPECT_EQ(Receive(Released(6)), List{});
  EXPECT_EQ(Tick(), List{"result 7"});
  EXPECT_EQ(Receive(Released(7)), List{});
  EXPECT_EQ(Tick(), List{"idle"});
}

TEST_F(SessionTest, RefusesAStaleEpoch) {
  Receive(Assign(7));
  Finish(7);
  Receive(Released(7));
  EXPECT_EQ(Receive(Assign(7, "op-b")), List{"reply 7 StaleEpoch"});
  EXPECT_EQ(Receive(Assign(6, "op-b")), List{"reply 6 StaleEpoch"});
  EXPECT_EQ(Receive(Assign(8, "op-b")), (List{"reply 8 accepted", "start op-b"}));
}

TEST_F(SessionTest, RefusesASecondAssignmentWhileItHoldsOne) {
  Receive(Assign(7));
  EXPECT_EQ(Receive(Assign(8, "op-b")), List{"reply 8 Busy"});
  Finish(7);
  EXPECT_EQ(Receive(Assign(8, "op-b")), List{"reply 8 Busy"});  // its result is not released
  Receive(Released(7));
  EXPECT_EQ(Receive(Assign(8, "op-b")), (List{"reply 8 accepted", "start op-b"}));
}

TEST_F(SessionTest, AcceptsTheSameAssignmentAgainWithoutStartingItTwice) {
  Receive(Assign(7));
  EXPECT_EQ(Receive(Assign(7)), List{"reply 7 accepted"});
  Finish(7);
  EXPECT_EQ(Receive(Assign(7)), (List{"reply 7 accepted", "result 7"}));
}

TEST_F(SessionTest, CancelsOnlyWhatRuns) {
  EXPECT_EQ(Receive(Cancel(7)), List{});
  Receive(Assign(7));
  EXPECT_EQ(Receive(Cancel(6)), List{});
  EXPECT_EQ(Receive(Cancel(7)), List{"cancel 7"});
  EXPECT_EQ(Receive(Cancel(7)), List{"cancel 7"});  // harmless
  Finish(7);
  EXPECT_EQ(Receive(Cancel(7)), List{});
}

TEST_F(SessionTest, RetiresOnlyWhenNothingIsHeldAndForGood) {
  Receive(Assign(7));
  EXPECT_EQ(Receive(Retire()), List{"Busy"});
  Finish(7);
  EXPECT_EQ(Receive(Retire()), List{"Busy"});
  Receive(Released(7));
  EXPECT_EQ(Receive(Retire()), List{"retired"});
  EXPECT_EQ(Receive(Retire()), List{"retired"});
  EXPECT_EQ(Receive(Assign(8)), List{"reply 8 Draining"});
  EXPECT_EQ(Open(), List{"hello last=7 closed"});
  EXPECT_EQ(Tick(), List{"idle"});
}

TEST_F(SessionTest, TellsAfterAReconnectWhatItHolds) {
  Receive(Assign(7));
  EXPECT_EQ(Open(), List{"hello last=7 running=op-a/7"});
  Finish(7);
  EXPECT_EQ(Open(), (List{"hello last=7 running=op-a/7", "result 7"}));
  Receive(Released(7));
  EXPECT_EQ(Open(), List{"hello last=7"});
}

// By the controller, when it may have missed SIGTERM.
TEST_F(SessionTest, IsToldToStopOverItsStreamTooAndGoesOnWhileItWorks) {
  ControllerMessage stop;
  stop.mutable_stop();
  EXPECT_EQ(Receive(Assign(7)), (List{"reply 7 accepted", "start op-a"}));
  EXPECT_EQ(Receive(stop), List{});
  EXPECT_EQ(Finish(7), List{"result 7"});
  EXPECT_EQ(Receive(Released(7)), List{});
  EXPECT_EQ(Receive(stop), List{"exit"});
  EXPECT_EQ(Receive(Assign(8)), List{"reply 8 Draining"});
}

TEST_F(SessionTest, ExitsAtOnceWhenToldToStopWhileIdle) { EXPECT_EQ(Stop(), List{"exit"}); }

TEST_F(SessionTest, FinishesItsOperationBeforeItExits) {
  Receive(Assign(7));
  EXPECT_EQ(Stop(), List{});
  EXPECT_EQ(Receive(Assign(8)), List{"reply 8 Busy"});
  EXPECT_EQ(Finish(7), List{"result 7"});
  EXPECT_EQ(Receive(Released(7)), List{"exit"});
}

TEST_F(SessionTest, IgnoresAResultOfAnotherEpochAndMessagesItDoesNotKnow) {
  Receive(Assign(7));
  EXPECT_EQ(Finish(6), List{});
  EXPECT_EQ(Receive(ControllerMessage()), List{});
  EXPECT_EQ(Tick(), List{"progress 7 Copying"});
}

}  // namespace
}  // namespace longshore::worker
