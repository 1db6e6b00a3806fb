"""An arm as users write it in MJCF, and changes of it."""

from __future__ import annotations

# Six joints, a gripper whose fingers slide and whose control runs from 0 (closed) to 255 (open).
ARM = """
<mujoco model="six">
  <compiler angle="radian" autolimits="true"/>
  <default>
    <geom contype="1" conaffinity="0" mass="0"/>
    <joint damping="1" armature="0.1"/>
    <position kp="3000" kv="150" inheritrange="1" forcerange="-90 90"/>
  </default>
  <worldbody>
    <body name="foot" gravcomp="1">
      <site name="base"/>
      <inertial pos="0 0 0.05" mass="3" diaginertia="0.02 0.02 0.02"/>
      <geom type="cylinder" size="0.07 0.05" pos="0 0 0.05" mass="0"/>
      <body name="shoulder" pos="0 0 0.16" gravcomp="1">
        <joint name="turn" axis="0 0 1" range="-2.9 2.9"/>
        <inertial pos="0 0 0" mass="2" diaginertia="0.01 0.01 0.01"/>
        <geom type="capsule" size="0.05" fromto="0 0 -0.05 0 0 0.02"/>
        <body name="upper" pos="0 0 0.04" gravcomp="1">
          <joint name="lift" axis="0 1 0" range="-2 2"/>
          <inertial pos="0 0 0.2" mass="2" diaginertia="0.03 0.03 0.005"/>
          <geom type="capsule" size="0.045" fromto="0 0 0 0 0 0.38"/>
          <body name="fore" pos="0 0 0.40" gravcomp="1">
            <joint name="elbow" axis="0 1 0" range="-0.3 2.8"/>
            <inertial pos="0 0 0.15" mass="1.5" diaginertia="0.02 0.02 0.003"/>
            <geom type="capsule" size="0.04" fromto="0 0 0 0 0 0.30"/>
            <body name="wrist1" pos="0 0 0.36" gravcomp="1">
              <joint name="pitch" axis="0 1 0" range="-1 3"/>
              <inertial pos="0 0 0" mass="0.6" diaginertia="0.002 0.002 0.002"/>
              <geom type="sphere" size="0.04"/>
              <body name="wrist2" pos="0 0 0.06" gravcomp="1">
                <joint name="yaw" axis="1 0 0" range="-2 2"/>
                <inertial pos="0 0 0" mass="0.4" diaginertia="0.001 0.001 0.001"/>
                <geom type="sphere" size="0.035"/>
                <body name="hand" pos="0 0 0.05" gravcomp="1">
                  <joint name="roll" axis="0 0 1" range="-3 3"/>
                  <inertial pos="0 0 0.03" mass="0.5" diaginertia="0.001 0.001 0.001"/>
                  <geom type="box" size="0.03 0.08 0.02" pos="0 0 0.03"/>
                  <site name="grip" pos="0 0 0.12"/>
                  <body name="finger1" pos="0 0 0.05" gravcomp="1">
                    <joint name="finger1" type="slide" axis="0 1 0" range="0 0.035"/>
                    <inertial pos="0 0 0.03" mass="0.03" diaginertia="0.00001 0.00001 0.00001"/>
                    <geom name="left_pad" type="box" size="0.01 0.005 0.04" pos="0 0.005 0.04"
                      friction="1 0.02 0.0001" condim="4" priority="1" solref="0.004 1"/>
                  </body>
                  <body name="finger2" pos="0 0 0.05" gravcomp="1">
                    <joint name="finger2" type="slide" axis="0 -1 0" range="0 0.035"/>
                    <inertial pos="0 0 0.03" mass="0.03" diaginertia="0.00001 0.00001 0.00001"/>
                    <geom name="right_pad" type="box" size="0.01 0.005 0.04" pos="0 -0.005 0.04"
                      friction="1 0.02 0.0001" condim="4" priority="1" solref="0.004 1"/>
                  </body>
                </body>
              </body>
            </body>
          </body>
        </body>
      </body>
    </body>
  </worldbody>
  <tendon><fixed name="fingers"><joint joint="finger1" coef="0.5"/><joint joint="finger2" coef="0.5"/></fixed></tendon>
  <equality><joint joint1="finger1" joint2="finger2" solref="0.005 1"/></equality>
  <actuator>
    <position name="turn" joint="turn"/>
    <position name="lift" joint="lift"/>
    <position name="elbow" joint="elbow"/>
    <position name="pitch" joint="pitch"/>
    <position name="yaw" joint="yaw"/>
    <position name="roll" joint="roll"/>
    <general name="fingers" tendon="fingers"
      ctrlrange="0 255" gaintype="fixed" biastype="affine" gainprm="0.7058823529" biasprm="-40 -4000 -300"
      forcerange="-80 80"/>
  </actuator>
  <keyframe><key name="home" qpos="0 -0.5 1.9 1.74159 0 0 0.035 0.035"/></keyframe>
</mujoco>
"""


LINK_GEOM = '<geom type="capsule" size="0.045" fromto="0 0 0 0 0 0.38"/>'
FINGERS = ARM[ARM.index('<body name="finger1"') : ARM.index("</body>\n                </body>")] + "</body>"
GRIPPER = ARM[ARM.index('<general name="fingers"') : ARM.index("  </actuator>")].strip()


def edited(*changes: tuple[str, str]) -> str:
    """The arm's model with every change made; each must have something to change."""
    text = ARM
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text
