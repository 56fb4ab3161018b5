//! The end of all trouble: from then on a regeneration must come to its end.

use regend::domain::kind::CapacityUnit;
use regend::harness::Disk;
use regend::sim::event::Event;
use regend::sim::group_behavior::Image;

use super::draw::Fate;
use super::story::Timeline;

impl Timeline {
    pub(super) fn calm_down(&mut self) {
        self.fates.retain(|(_, fate)| !matches!(fate, Fate::Clock(_)));
        let Some(scene) = self.scenes.first() else { return };
        scene.harness.host.set_disk(Disk::Well);
        let mut world = scene.harness.world.borrow_mut();
        let busy = world.faults.busy;
        world.faults.end();
        // A group that finds no capacity has a scaling activity in progress all the time.
        world.faults.busy = if self.stays_dry { busy } else { 0 };
        world.alter(&scene.key, |group| {
            (group.behavior.flawed, group.behavior.reuses) = (0, false);
            for hook in group.behavior.launch_hook.iter_mut().chain(&mut group.behavior.terminate_hook) {
                hook.answer = Some((0, 5));
            }
        });
        let now = world.now();
        let well = [
            Event::Image(Image::Good),
            Event::Recover,
            Event::Resume,
            Event::EndRefresh,
            Event::EndShift,
            Event::Wet,
            Event::Unit(CapacityUnit::Instances),
            Event::Unmanaged,
        ];
        for event in well.into_iter().filter(|event| !self.stays_dry || *event != Event::Wet) {
            world.schedule(now, &scene.key, event);
        }
    }
}
